"""The HTTP contract: requests read, answers rendered."""
