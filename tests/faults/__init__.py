"""Neighbours stopped, killed, cut and flushed under real traffic: reliability.md's invariants, each with its oracle."""
