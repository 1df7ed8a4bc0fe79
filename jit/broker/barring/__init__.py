"""Barring people from access."""
