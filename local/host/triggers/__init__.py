"""Queue and timer triggers, on Azure Storage."""
