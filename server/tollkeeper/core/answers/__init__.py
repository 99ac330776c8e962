"""What the ledger answers to those who read it."""
