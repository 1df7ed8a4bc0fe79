"""Rows of the audit trail: events that are not in the chain yet, and records."""
