"""Where writers run: in a process of their own, or in a thread."""
