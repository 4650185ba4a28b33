"""Activity: the account's audit log, told in words."""
