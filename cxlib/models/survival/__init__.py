"""Survival: how many stay how long, which end they come to, and whether groups differ."""
