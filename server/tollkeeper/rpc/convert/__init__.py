"""Messages into the core's values, and back."""
