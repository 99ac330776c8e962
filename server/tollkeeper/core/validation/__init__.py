"""Checks the fields of requests; each bad field is named in one refusal."""
