"""What usually follows the last touchpoints of a customer."""
