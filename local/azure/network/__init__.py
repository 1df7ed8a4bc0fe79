"""Microsoft.Network: NSGs and firewalls to write, the rest to read."""
