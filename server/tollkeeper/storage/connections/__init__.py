"""How databases are reached: URLs, connections, their failures, and the files of SQLite."""
