"""Audit events, and the chain that makes them tamper-evident."""
