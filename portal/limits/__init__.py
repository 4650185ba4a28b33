"""Exact limits on Redis: one script decides every limit and the quota of many checks in one call.

Knows its subjects only as opaque names (a key, an account, a log-in). Keeps in Redis, on the account's shard:
`account:{id}` (policy version, units used per period), `limit:{subject}` (what was admitted, or a bucket's level),
`answer:{account}:{token}:{id}` (the first answer to a retried request, 10 minutes).

How it decides: Redis's own clock; per check everything is examined first and written only when everything admits,
so a denial consumes nothing. An older policy than the account's record is answered STALE and decides nothing; an
account whose counters are missing is answered UNSEEDED, so that a Redis that lost its state never counts from zero.

Failure: a call that is not answered within the deadline, or a lost connection, raises LimitsUnavailable for all checks
that wait; nothing is sent twice. A reply that comes later is recognised by its place in line and dropped. A shard that
mostly fails is left alone for a while; the others take no notice. A shard that Sentinels watch follows its promotion: a
server that is no master is left, and they are asked again. What the promoted one does not know is asked for (UNSEEDED)
or admitted once more: at most one limit a key and failover.
"""

from portal.limits.client import listening_client, shard_client
from portal.limits.limiter import Limiter
from portal.limits.link import LimitsUnavailable
from portal.limits.requests import (
    ADMITS,
    NEVER,
    Bucket,
    Decision,
    LimitRequest,
    LimitState,
    Mode,
    Quota,
    Seed,
    Settled,
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
    "Seed",
    "Sentinels",
    "Settled",
    "Status",
    "Subject",
    "Window",
    "encode",
    "listening_client",
    "shard_client",
]
