"""People: a new person with an account of their own, and their password."""
