"""Azure Resource Manager: routes, permissions, tokens, quotas, resources, operations."""
