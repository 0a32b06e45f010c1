"""Funnels: who goes from step to step, how soon, and who is still on the way."""
