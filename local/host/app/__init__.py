"""The app as data: its functions, its settings, its host.json, and their faults."""
