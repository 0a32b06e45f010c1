"""The presets, on the tables of real vendors."""
