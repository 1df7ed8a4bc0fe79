"""How closed requests leave the live rows."""
