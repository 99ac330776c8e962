"""The reference model: the rules once more, in plain dictionaries and ints."""
