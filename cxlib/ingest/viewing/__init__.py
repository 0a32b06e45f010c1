"""What goes into the single view of a customer: what was known at a date, and its parts."""
