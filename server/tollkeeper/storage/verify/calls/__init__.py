"""Checks what an account is and has against the calls that set it."""
