"""Exact limits on Redis: one script decides every limit and the quota of many checks in one call.

Knows its subjects only as opaque names (a key, an account, a log-in).

Architecture: `Limiter` finds the account's `Shard` (rendezvous hashing), which gathers the checks of a loop turn and
sends them over its `RedisConnection` in one script call, unless its circuit breaker is open. The shard holds
`account:{id}` (policy version, units used per period), `limit:{subject}` (what was admitted, or a bucket's level) and
`answer:{account}:{token}:{key}:{id}` (what was admitted under a retry id, 10 minutes).

Algorithm: sliding windows are logs of what was admitted, token buckets are levels, and both go by Redis's own clock.
Per check everything is examined first and written only when everything admits, so a denial consumes nothing. An older
policy than the account's record is answered STALE and decides nothing; an account without counters is answered
UNSEEDED, so that a Redis that lost its state never counts from zero.

Failure modes:
- A stall of this process's own loop is nobody's failure: deadlines go by the time in which the loop could read
  (loop_clock.py), so what is overdue by the stall keeps waiting for its reply.
- A call that is not answered within the deadline, or a lost connection, raises LimitsUnavailable for its checks, never
  for those behind it that have not left. Sent again is only what certainly did not run: the script said that it came
  too late. A reply that comes later is recognised by its place in line and dropped.
- A shard that answers no call in time, and nothing over another connection either, is left alone until it does; the
  others take no notice. Its callers go by the plan's failure policy, or by this process's part of a limit
  (local_limiter.py).
- A shard that Sentinels watch follows its promotion: a server that is no master is left, and they are asked again. What
  the promoted one does not know is asked for (UNSEEDED) or admitted once more: at most one limit a key and failover.
"""

from portal.limits.account_record import AccountRecord, AccountRecords
from portal.limits.client import shard_client, subscriber_client
from portal.limits.limiter import Limiter, Script
from portal.limits.local_limiter import LocalLimiter
from portal.limits.redis_link import LimitsUnavailable
from portal.limits.requests import (
    ADMITS,
    NEVER,
    Bucket,
    Decision,
    LimitRequest,
    LimitState,
    Mode,
    Quota,
    QuotaCorrection,
    Retry,
    Seed,
    Status,
    Subject,
    Window,
    encode,
)
from portal.limits.sentinels import Sentinels

__all__ = [
    "ADMITS",
    "NEVER",
    "AccountRecord",
    "AccountRecords",
    "Bucket",
    "Decision",
    "LimitRequest",
    "LimitState",
    "Limiter",
    "LimitsUnavailable",
    "LocalLimiter",
    "Mode",
    "Quota",
    "QuotaCorrection",
    "Retry",
    "Script",
    "Seed",
    "Sentinels",
    "Status",
    "Subject",
    "Window",
    "encode",
    "shard_client",
    "subscriber_client",
]
