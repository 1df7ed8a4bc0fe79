"""Reading the audit trail: pages of records, heads and exports of chains."""
