"""Rights of people in Azure: reading them, keeping them for a while, asking about them."""
