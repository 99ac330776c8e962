"""The core's values as rows, and back."""
