"""Commands about accounts: open them, change them, give and take credits, set alert rules."""
