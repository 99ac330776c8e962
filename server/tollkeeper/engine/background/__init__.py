"""What goes on beside the calls: moving old reservations out, and the feed of events."""
