"""Decides what operators ask for: credits taken back, refunds, recurring grants."""
