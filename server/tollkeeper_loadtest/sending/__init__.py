"""Sends the load: generators in processes of their own, their coordinator, and the ways to the server."""
