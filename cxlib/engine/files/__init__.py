"""Readers of files: whatever an export looks like, its records become rows of text."""
