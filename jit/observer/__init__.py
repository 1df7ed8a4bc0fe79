"""Fresh looks at Azure."""
