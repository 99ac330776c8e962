"""Days, months and hours of a time zone, and the periods of an overview cut into them."""
