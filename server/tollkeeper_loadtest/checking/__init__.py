"""Whether the ledger says what it acknowledged: each answer as it comes, then the audit after the load."""
