"""The decision: is this key valid, inside its limits and its quota? `Checker` is behind every /check route.

Owns no table. The way of a warm check through its callbacks (everything in one process; ~~> is a later loop turn):

    web/check  bytes -> CheckHandler.serve -> parse_check -> Checker.start
    Checker    start              policy in memory? else a task loads it: Redis, then PostgreSQL (single flight)
               _request_decision  pre-checks, a remembered denial, the prepared request -> Limiter.decide
    limits     Shard.decide       queues ~~> Shard._flush: one script call for all checks of the turn
    Redis      decide.lua         every limit, the quota and the policy's version, all or nothing
    limits     RedisLink.data_received ~~> Shard._handle_reply -> on_decision, check by check
    Checker    _on_decision -> _handle_decision
                 REUSED    -> IdReused: the retry id answers another question (retries.py)
                 STALE     -> a task reloads the policy    -> _request_decision again
                 UNSEEDED  -> a task loads the counters    -> _request_decision again
                 no Redis  -> _on_redis_unavailable: the plan's failure policy -> _answer_degraded
                 otherwise -> _answer: response, limits, what was lacking (denial.py), usage record -> JournalBatch.add
               JournalBatch._flush ~~> one write() for the turn, then on_outcome, check by check
    web/check  RENDERERS: headers and body -> on_reply -> PendingReply.complete: in the order of the requests

Why no answer comes from an old policy: each policy carries the account's version of the snapshot that it was read in;
the script compares it with the account's record, which the edge raises before a mutation is answered. A denial by the
pre-checks is confirmed the same way, so a resumed key works at once.

How it fails: without Redis the plan's failure policy answers, marked degraded, and PostgreSQL is asked once a second
for newer versions; without PostgreSQL known policies keep serving; without a journal nothing is answered.
"""

from portal.check.atomic import check_atomic
from portal.check.checker import Checker, CheckUnavailable
from portal.check.journal_batch import Outcome
from portal.check.live import load_live_limits, load_live_used, load_used
from portal.check.policy import PolicyCache, PolicyInvalidator, PreparedPolicy, RestoredDatabase
from portal.check.reasons import format_span, reason_of
from portal.check.request import BatchRequest, CheckRequest, SettleRequest, parse_batch, parse_check, parse_settle
from portal.check.response import CheckOutcome, CheckResponse, LimitAnswer
from portal.check.retries import IdReused
from portal.check.rules import Code
from portal.check.service_tokens import ServiceTokens
from portal.check.settle import build_settlement_handler, settle_check
from portal.check.shared_tokens import SharedTokens

__all__ = [
    "BatchRequest",
    "CheckOutcome",
    "CheckRequest",
    "CheckResponse",
    "CheckUnavailable",
    "Checker",
    "Code",
    "IdReused",
    "LimitAnswer",
    "Outcome",
    "PolicyCache",
    "PolicyInvalidator",
    "PreparedPolicy",
    "RestoredDatabase",
    "ServiceTokens",
    "SettleRequest",
    "SharedTokens",
    "build_settlement_handler",
    "check_atomic",
    "format_span",
    "load_live_limits",
    "load_live_used",
    "load_used",
    "parse_batch",
    "parse_check",
    "parse_settle",
    "reason_of",
    "settle_check",
]
