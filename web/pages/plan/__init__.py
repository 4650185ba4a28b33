"""The plan: what the account has, what else there is."""
