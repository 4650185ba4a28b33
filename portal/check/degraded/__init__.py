"""Checks while Redis is away: the plan's failure policy, and each process's part of every limit."""
