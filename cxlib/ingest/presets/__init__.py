"""Presets for known vendors: what the tables of their exports mean, one YAML file for each."""
