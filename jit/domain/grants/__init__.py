"""The life of a grant, one module a phase."""
