"""Values: ids, times, prefixes, sets of addresses."""
