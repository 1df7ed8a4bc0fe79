"""The comparison of one subscription, and the timers."""
