"""What a server shows of itself over HTTP: its health, its processes, and their counts."""
