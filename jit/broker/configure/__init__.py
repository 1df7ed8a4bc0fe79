"""Changing JIT policies on request."""
