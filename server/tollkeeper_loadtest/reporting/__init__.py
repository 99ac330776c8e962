"""A run for people and for programs: values, a summary, a page with charts, and two runs side by side."""
