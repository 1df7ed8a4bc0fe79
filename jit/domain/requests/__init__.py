"""Bodies of the HTTP contract: typed fields, one reader for all of them, one schema each."""
