"""Forms of single values inside rows."""
