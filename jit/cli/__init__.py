"""Commands for operators and auditors, over HTTP or offline; the standard library alone."""
