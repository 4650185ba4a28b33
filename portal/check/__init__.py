"""The decision: looks up the key's policy, asks the limits, appends to the usage journal, answers.

Owns no table. `Checker.check` is the one implementation behind every /check route. Per check: the key's form and
checksum, its policy (process cache, Redis, PostgreSQL), the pure pre-checks, one script call on the account's shard,
one write to the journal, and only then the answer.

Why no answer comes from an old policy: each policy carries the account's version of the snapshot that it was read in;
the script compares it with the account's record, which the edge raises before a mutation is answered. A denial by the
pre-checks is confirmed the same way, so a resumed key works at once. Failure: without Redis the plan's failure policy
answers, marked degraded; without PostgreSQL known policies keep serving; without a journal nothing is answered.
"""

from portal.check.answer import CheckOutcome, CheckResponse
from portal.check.atomic import check_atomic
from portal.check.checker import Checker, CheckUnavailable
from portal.check.live import LiveLimit, look_at_limits, look_at_used
from portal.check.policy.cache import PolicyCache
from portal.check.policy.invalidate import PolicyInvalidator
from portal.check.reasons import Reason, reason_of
from portal.check.request import (
    BatchRequest,
    CheckRequest,
    SettleRequest,
    parse_batch,
    parse_check,
    parse_settle,
)
from portal.check.rules import Code
from portal.check.service_tokens import ServiceTokens
from portal.check.settle import relayed_settlements, settle_check

__all__ = [
    "BatchRequest",
    "CheckOutcome",
    "CheckRequest",
    "CheckResponse",
    "CheckUnavailable",
    "Checker",
    "Code",
    "LiveLimit",
    "PolicyCache",
    "PolicyInvalidator",
    "Reason",
    "ServiceTokens",
    "SettleRequest",
    "check_atomic",
    "look_at_limits",
    "look_at_used",
    "parse_batch",
    "parse_check",
    "parse_settle",
    "reason_of",
    "relayed_settlements",
    "settle_check",
]
