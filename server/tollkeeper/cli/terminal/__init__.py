"""What a person sees: streams, tables, help pages."""
