"""Sums by which one person is limited."""
