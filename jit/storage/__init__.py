"""Rows, and the stores that read and write them."""
