"""Bodies of operators that are about no access request."""
