"""The rules of the broker as functions of values: standard library only, no clock, no I/O."""
