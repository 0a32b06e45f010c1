"""The log of what customers did, and what is counted on it."""
