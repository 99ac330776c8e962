"""The client packages, against servers that are processes of their own."""
