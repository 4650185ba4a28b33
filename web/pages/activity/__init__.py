"""Activity: the account's audit log, in words."""
