"""Who calls: tokens, and the book of them that each server keeps in memory."""
