"""Readers of databases: a table or a query becomes rows of text, batch by batch."""
