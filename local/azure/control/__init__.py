"""The control plane: time, faults, the log of calls, the state."""
