"""Use cases of callers: ask, change, read."""
