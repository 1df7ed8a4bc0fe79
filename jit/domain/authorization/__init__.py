"""Who may do what: the platform's authentication and Azure RBAC as values."""
