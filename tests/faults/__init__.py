"""Things broken on purpose: connections, processes, databases, a commit half-way."""
