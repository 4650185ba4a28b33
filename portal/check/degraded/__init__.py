"""Checks while Redis is away.

failure_policy   what the plan says: admit all, decide nothing, or admit this process's part of each limit
"""

from portal.check.degraded.failure_policy import DegradedDecider, retry_after_ms

__all__ = ["DegradedDecider", "retry_after_ms"]
