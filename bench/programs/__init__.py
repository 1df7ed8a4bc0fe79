"""Programs that run in a fresh process and print their measurements."""
