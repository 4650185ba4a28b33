"""Retention: monthly partitions, and dropping what is no longer kept."""
