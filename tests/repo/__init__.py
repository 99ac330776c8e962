"""Tests of the repository itself: the rules of the house, the generated code, the image."""
