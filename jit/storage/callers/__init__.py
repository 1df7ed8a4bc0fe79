"""Rows about callers."""
