"""Rows about people, of no subscription."""
