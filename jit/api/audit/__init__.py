"""The HTTP contract of the audit trail: queries in, pages and exports out."""
