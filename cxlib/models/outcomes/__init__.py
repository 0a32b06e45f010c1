"""Outcomes: who was at risk of leaving, from when to when, and how it ended."""
