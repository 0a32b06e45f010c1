"""What is estimated from the log: outcomes, survival, segments."""
