"""Requests that the server makes of others: deliveries to webhooks. The only importer of aiohttp."""
