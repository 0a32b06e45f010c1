"""Exports in; customers and events out."""
