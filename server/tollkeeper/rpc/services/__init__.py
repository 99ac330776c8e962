"""The services: each method converts, executes, converts."""
