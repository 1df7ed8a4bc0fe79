"""Rows about callers: the keys of their calls."""
