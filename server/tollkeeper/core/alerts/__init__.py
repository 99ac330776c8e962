"""Alert rules of accounts, and the events that record when a rule was met."""
