"""JSON of Azure Resource Manager and Defender, as values."""
