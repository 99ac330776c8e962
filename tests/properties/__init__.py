"""Laws that hold for every ledger: found by drawing ledgers, not by listing examples."""
