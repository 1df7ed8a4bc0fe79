"""Whether a request may become a grant."""
