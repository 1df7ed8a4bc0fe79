"""Lists for callers: pages of rows, each in a bounded number of queries."""
