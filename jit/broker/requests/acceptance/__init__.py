"""Parts of the acceptance of an access request."""
