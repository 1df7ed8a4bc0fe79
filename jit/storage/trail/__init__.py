"""Rows of audit events that are not in the chain yet."""
