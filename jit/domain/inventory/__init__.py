"""Virtual machines, put together from the lists of a subscription."""
