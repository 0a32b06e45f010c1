"""Two groups or two periods, any measure that adds up over customers: what differs, how surely."""
