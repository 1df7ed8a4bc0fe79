"""Rows about virtual networks."""
