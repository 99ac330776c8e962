"""Many calls at once, over real connections: whatever the order, the sums are exact."""
