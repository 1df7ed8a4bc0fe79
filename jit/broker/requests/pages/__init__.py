"""Pages of the lists that callers read."""
