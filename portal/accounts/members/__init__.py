"""Who belongs to an account, and with which role."""
