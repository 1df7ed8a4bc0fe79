"""One module per Azure API: call, translate errors, decide nothing."""
