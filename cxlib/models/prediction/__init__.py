"""Prediction from today on, for all customers, and its check on what happened later."""
