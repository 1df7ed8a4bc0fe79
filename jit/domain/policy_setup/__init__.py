"""Changing JIT policies."""
