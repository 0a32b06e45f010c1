"""Records of people: made comparable, compared, and gathered into customers."""
