"""The audit of usage: whether its ledgers agree."""
