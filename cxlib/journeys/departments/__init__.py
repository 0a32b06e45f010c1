"""Departments: handoffs between them, waits in working hours, and contacts that come again."""
