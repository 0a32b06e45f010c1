"""Planned against actual: what customers skip, add, repeat and do out of order."""
