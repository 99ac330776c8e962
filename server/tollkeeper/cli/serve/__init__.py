"""Commands that open the database: serve, migrate and verify."""
