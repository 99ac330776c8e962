"""The tables, the migrations that make them, and the partitions of the large ones."""
