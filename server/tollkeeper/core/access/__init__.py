"""Who may call what: roles, the accounts that a caller is bound to, and tokens."""
