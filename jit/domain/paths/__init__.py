"""Network paths: the rules on them, and whether packets pass."""
