"""Commands that show what was consumed, and why."""
