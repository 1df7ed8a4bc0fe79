"""Comparing all rules of a subscription with all its grants."""
