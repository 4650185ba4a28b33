"""Exact limits on Redis: one script decides every limit and the quota of many checks in one call.

Knows its subjects only as opaque names (a key, an account, a log-in).

Architecture: `Limiter` finds the account's `Shard` (rendezvous hashing), which gathers the checks of a loop turn and
sends them over its `RedisConnection` in one script call, unless its circuit breaker is open. The shard holds
`account:{id}` (policy version, units used per period), `limit:{subject}` (what was admitted, or a bucket's level) and
`answer:{account}:{token}:{id}` (the first answer to a retried request, 10 minutes).

Algorithm: sliding windows are logs of what was admitted, token buckets are levels, and both go by Redis's own clock.
Per check everything is examined first and written only when everything admits, so a denial consumes nothing. An older
policy than the account's record is answered STALE and decides nothing; an account without counters is answered
UNSEEDED, so that a Redis that lost its state never counts from zero.

Failure modes:
- A call that is not answered within the deadline, or a lost connection, raises LimitsUnavailable for all checks that
  wait; nothing is sent twice. A reply that comes later is recognised by its place in line and dropped.
- A shard that mostly fails is left alone for five seconds; the others take no notice.
- A shard that Sentinels watch follows its promotion: a server that is no master is left, and they are asked again. What
  the promoted one does not know is asked for (UNSEEDED) or admitted once more: at most one limit a key and failover.
"""

from portal.limits.client import listening_client, shard_client
from portal.limits.limiter import Limiter
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
    "Bucket",
    "Decision",
    "LimitRequest",
    "LimitState",
    "Limiter",
    "LimitsUnavailable",
    "Mode",
    "Quota",
    "QuotaCorrection",
    "Seed",
    "Sentinels",
    "Status",
    "Subject",
    "Window",
    "encode",
    "listening_client",
    "shard_client",
]
