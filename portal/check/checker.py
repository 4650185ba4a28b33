"""Decide checks. Every route and every test goes through `Checker`; the package's docstring draws its way.

A check whose policy is in memory runs in callbacks, without a task of its own: it leaves with the others of its loop
turn in one script call and one journal write. What needs PostgreSQL (a cold policy, a stale one, lost counters) awaits.
"""

from collections.abc import Coroutine
from functools import partial
from time import monotonic
from typing import Any

import msgspec

from portal.check.degraded import DegradedDecider
from portal.check.denial import add_denial, degraded_limits, denial_of, denied_limits
from portal.check.explain import explain
from portal.check.journal_batch import JournalBatch, JournalEntry, OnOutcome, usage_record
from portal.check.policy import CachedPolicy, KeyPolicy, PolicyCache, PreparedPolicy, VersionPoller, load_seed
from portal.check.request import CheckRequest
from portal.check.request_ids import RequestIds
from portal.check.response import CheckOutcome, CheckResponse, add_limits, build_response, code_of
from portal.check.retries import IdReused, is_same_question, retry_of
from portal.check.rules import Code, pre_check
from portal.core.concurrency.background_tasks import BackgroundTasks
from portal.core.concurrency.single_flight import SingleFlight
from portal.core.concurrency.waiting import wait_for_callback
from portal.core.database import Database
from portal.core.outages.database_errors import is_dependency_unavailable
from portal.core.outages.rate_limited_log import RateLimitedLog
from portal.keys import secret_digest, secret_problem
from portal.limits import Decision, Limiter, LimitRequest, LimitsUnavailable, Mode, Retry, Seed, Status
from portal.usage import Journal

MAX_ROUNDS = 5
_log = RateLimitedLog(__name__)
_ANSWERED = frozenset({Status.ADMITTED, Status.REPEATED})
_ADMITTED, _REPEATED, _STALE, _UNSEEDED = Status.ADMITTED, Status.REPEATED, Status.STALE, Status.UNSEEDED
_REUSED = Status.REUSED


class CheckUnavailable(Exception):
    """No decision: the failure policy says closed, or the account changes faster than it can be read."""


class _Job(msgspec.Struct, gc=False):
    """One check on its way, from the moment at which its policy is known.

    `denial`: what the pre-checks said. `requested_at`: monotonic seconds at which the limiter was asked last.
    """

    service_token_id: str
    request: CheckRequest
    digest: bytes
    on_outcome: OnOutcome
    prepared: PreparedPolicy
    denial: Code | None = None
    seed: Seed | None = None
    rounds: int = 0
    requested_at: float = 0.0


class Checker:
    """The decision of one process."""

    def __init__(
        self, database: Database, limiter: Limiter, journal: Journal, policies: PolicyCache, *, processes: int = 1
    ) -> None:
        """Make the checker of a process; `processes` of them share what a plan's `local` failure policy admits."""
        self.policies = policies
        self.limiter = limiter
        self.journal = journal
        self.database = database
        self.ids = RequestIds()
        self.journal_batch = JournalBatch(journal)
        self.degraded_decider = DegradedDecider(database, processes)
        self.stale_count = self.unseeded_count = 0
        self.version_poller = VersionPoller(database, policies)
        self._seeds: SingleFlight[Seed] = SingleFlight()
        self._tasks = BackgroundTasks()

    async def close(self) -> None:
        """End what still runs on behalf of checks: no more of them come."""
        await self.version_poller.close()
        await self.policies.close()

    def start(self, service_token_id: str, request: CheckRequest, on_outcome: OnOutcome) -> None:
        """Decide; `on_outcome` is called later with what is counted by then, or the error that prevented an answer.

        Errors: IdReused, CheckUnavailable, JournalUnavailable, and whatever PostgreSQL raises when it is needed and
        away.
        """
        digest = secret_digest(request.key)
        cached = self.policies.find_in_memory(digest)
        if cached is not None:
            prepared = cached.prepared_for(request.resource)
            self._request_decision(_Job(service_token_id, request, digest, on_outcome, prepared))
        elif secret_problem(request.key) is None:
            self._spawn(self._look_up(service_token_id, request, digest, on_outcome), on_outcome)
        else:
            self._answer_not_found(on_outcome)

    async def load_seed(self, policy: KeyPolicy) -> Seed:
        """Load the account's counters for a Redis that does not know them, once for all who ask meanwhile.

        Raises LimitsUnavailable when PostgreSQL cannot say them either: then the plan's failure policy answers.
        """
        try:
            return await self._seeds.run(policy.account_id, lambda: load_seed(self.database, policy))
        except Exception as error:
            if not is_dependency_unavailable(error):
                raise
            raise LimitsUnavailable("neither Redis nor the database knows the account's counters") from error

    async def check(self, service_token_id: str, request: CheckRequest) -> CheckOutcome:
        """Decide and wait; raises the errors."""
        return await wait_for_callback(partial(self.start, service_token_id, request))

    def _request_decision(self, job: _Job) -> None:
        """Ask the limiter; a denial by the pre-checks only has its policy confirmed."""
        request, prepared = job.request, job.prepared
        if prepared.is_plain and not request.scopes:
            job.denial = None
        else:
            job.denial = pre_check(prepared.policy, request, self.ids.now_us())
        if job.denial is None and job.seed is None and request.id is None and not request.explain:
            limit_request = prepared.consume_request(request.cost)
            denied = prepared.denials.find(request.cost) if prepared.denials else None
            if denied is not None:
                self._answer(job, denied)
                return
        else:
            limit_request = self._build_limit_request(job)
        job.requested_at = monotonic()
        self.limiter.decide(limit_request, partial(self._on_decision, job, limit_request))

    def _build_limit_request(self, job: _Job) -> LimitRequest:
        """Build a request to the limiter with what is of this check alone."""
        request, policy = job.request, job.prepared.policy
        mode = Mode.LOOK if request.explain else Mode.CONSUME if job.denial is None else Mode.CONFIRM
        limit_request = job.prepared.build_request(mode, request.cost, job.seed)
        if request.id is not None and mode is not Mode.LOOK:
            draft = JournalEntry(self.ids.next(0), policy.secret_id, request.resource, request.cost, request.ip or "")
            limit_request.retry = retry_of(job.service_token_id, policy.key_id, request, draft)
        return limit_request

    def _on_decision(self, job: _Job, limit_request: LimitRequest, decision: Decision | LimitsUnavailable) -> None:
        """Act on a decision; an error of ours reaches this caller alone, not those of the same batch."""
        try:
            if isinstance(decision, LimitsUnavailable):
                self._on_redis_unavailable(job, limit_request, decision)
            else:
                self._handle_decision(job, limit_request, decision)
        except Exception as error:
            job.on_outcome(error)

    def _handle_decision(self, job: _Job, limit_request: LimitRequest, decision: Decision) -> None:
        status = decision.status
        if status is not _REPEATED:
            self.ids.sync_clock(decision.now_us)
        if status is _STALE:
            self.stale_count += 1
            self._spawn(self._reload(job), job.on_outcome)
        elif status is _UNSEEDED:
            self.unseeded_count += 1
            self._spawn(self._load_seed_of(job), job.on_outcome)
        elif job.request.explain:
            explained = explain(job.prepared, job.request, decision, self.ids.next(decision.now_us))
            self.journal_batch.add(explained, None, job.on_outcome)
        elif status is _REUSED:
            job.on_outcome(IdReused())
        elif job.denial is not None:
            self._answer(job, decision, job.denial)
        else:
            if status is not _ADMITTED or job.prepared.denials:
                job.prepared.update_denials(limit_request, decision, job.requested_at)
            if job.prepared.policy.failure_policy == "local" and status is not _REPEATED:
                self.degraded_decider.note_decision(job.prepared.policy, decision, job.request.cost)
            if limit_request.retry is None or status not in _ANSWERED:
                self._answer(job, decision)
            else:
                self._answer_retried(job, decision, limit_request.retry)

    def _answer(self, job: _Job, decision: Decision, denial: Code | None = None) -> None:
        """Answer what the limiter decided, or a denial by the pre-checks that it confirmed."""
        request, prepared = job.request, job.prepared
        now_us, cost, is_admitted = decision.now_us, request.cost, decision.status is _ADMITTED
        policy = prepared.policy
        response = build_response(policy, denial or code_of(decision.status), self.ids.next(now_us))
        outcome = CheckOutcome(response, prepared, decision)
        add_limits(outcome, cost if is_admitted else 0)
        if not is_admitted:
            limits = () if denial else denied_limits(prepared.limits, decision, policy.quota, cost)
            add_denial(outcome, denial_of(response.code, policy, request, now_us, limits))
        record = usage_record(policy, outcome, request, now_us, decision.period)
        self.journal_batch.add(outcome, record, job.on_outcome)

    def _answer_retried(self, job: _Job, decision: Decision, retry: Retry) -> None:
        """Answer an admitted check with an id: a repeated answer repeats the first one's record, else it is stored."""
        is_repeated = decision.status is _REPEATED
        entry = msgspec.json.decode(decision.blob if is_repeated else retry.blob, type=JournalEntry)
        if not is_same_question(entry, job.request):
            job.on_outcome(IdReused())
            return
        policy, prepared = job.prepared.policy, job.prepared
        response = build_response(policy, Code.VALID, self.ids.with_time(entry.request_id, decision.now_us))
        if is_repeated:
            response.replayed = True
        if len(prepared.limits) != len(decision.states):
            # Limits were added or dropped since the first answer: its states have no names any more.
            decision = msgspec.structs.replace(decision, states=[])
        outcome = CheckOutcome(response, prepared, decision)
        add_limits(outcome, entry.cost)
        self.journal_batch.add(outcome, usage_record(policy, outcome, entry, decision.now_us), job.on_outcome)

    def _answer_degraded(self, job: _Job, code: Code, decision: Decision | None = None) -> None:
        """Answer without Redis; `decision` is the failure policy's, None for a denial by the pre-checks."""
        now_us, policy, request = self.ids.now_us(), job.prepared.policy, job.request
        response = build_response(policy, code, self.ids.next(now_us), is_degraded=True)
        outcome = CheckOutcome(response, job.prepared)
        if code is not Code.VALID:
            limits = degraded_limits(job.prepared.limits, decision, policy.quota) if decision else ()
            add_denial(outcome, denial_of(code, policy, request, now_us, limits))
        cost = 0 if request.explain else request.cost
        entry = JournalEntry(response.request_id, policy.secret_id, request.resource, cost, request.ip or "")
        self.journal_batch.add(outcome, usage_record(policy, outcome, entry, now_us), job.on_outcome)

    def _on_redis_unavailable(self, job: _Job, limit_request: LimitRequest, error: LimitsUnavailable) -> None:
        """Act without Redis: what the pre-checks deny stays denied; the rest goes by the plan's failure policy."""
        policy = job.prepared.policy
        self.version_poller.watch(policy.account_id)
        if job.denial is not None:
            self._answer_degraded(job, job.denial)
            return
        now_us = self.ids.now_us()
        decision = None if job.request.explain else self.degraded_decider.decide(policy, limit_request, now_us)
        if decision is None:
            job.on_outcome(CheckUnavailable(str(error)))
        else:
            self._answer_degraded(job, code_of(decision.status), decision)

    def _answer_not_found(self, on_outcome: OnOutcome) -> None:
        response = CheckResponse(valid=False, code=Code.NOT_FOUND, request_id=self.ids.next(self.ids.now_us()))
        self.journal_batch.add(CheckOutcome(response), None, on_outcome)

    def _spawn(self, step: Coroutine[Any, Any, None], on_outcome: OnOutcome) -> None:
        async def guarded() -> None:
            try:
                await step
            except Exception as error:
                on_outcome(error)

        self._tasks.start(guarded())

    async def _look_up(
        self, service_token_id: str, request: CheckRequest, digest: bytes, on_outcome: OnOutcome
    ) -> None:
        cached = await self.policies.find(digest)
        if cached is None:
            self._answer_not_found(on_outcome)
        else:
            prepared = cached.prepared_for(request.resource)
            self._request_decision(_Job(service_token_id, request, digest, on_outcome, prepared, rounds=1))

    async def _reload(self, job: _Job) -> None:
        job.seed = None
        self._ask_again(job, await self.policies.reload(job.digest, job.prepared.policy))

    async def _load_seed_of(self, job: _Job) -> None:
        policy = job.prepared.policy
        try:
            job.seed = await self.load_seed(policy)
        except LimitsUnavailable as error:
            self._on_redis_unavailable(job, self._build_limit_request(job), error)
        else:
            if any(job.seed.used.values()):  # so Redis has lost them: a new account has none anywhere
                shard = self.limiter.shard_of(policy.account_id).connection.name
                _log.warning("counters_lost", shard=shard, account=policy.account_id)
            self._ask_again(job, CachedPolicy(policy))

    def _ask_again(self, job: _Job, cached: CachedPolicy | None) -> None:
        """Ask the limiter again, by a newer policy or with a seed."""
        job.rounds += 1
        if cached is None:
            self._answer_not_found(job.on_outcome)
        elif job.rounds > MAX_ROUNDS:
            job.on_outcome(CheckUnavailable("the account changes faster than it can be read"))
        else:
            job.prepared = cached.prepared_for(job.request.resource)
            self._request_decision(job)
