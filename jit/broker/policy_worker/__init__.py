"""The worker of one JIT policy."""
