"""Access requests and their callers."""
