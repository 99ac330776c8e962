"""Commands about price lists, and the forms of their files."""
