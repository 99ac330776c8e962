"""One file a migration, in the order of their numbers. None imports `tables.py`, which moves on."""
