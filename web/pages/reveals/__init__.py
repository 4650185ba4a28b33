"""Secrets that were just made: shown at an address of their own for a while, then gone."""
