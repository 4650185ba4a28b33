"""Decide checks. Every route and every test goes through `Checker`.

A check whose policy is in memory runs in callbacks, without a task of its own: it leaves with the others of its loop
turn in one script call and one journal write. What needs PostgreSQL (a cold policy, a stale one, lost counters) awaits.
"""

import asyncio
from collections.abc import Coroutine
from functools import partial
from time import monotonic
from typing import Any, cast

import msgspec

from portal.check.answer import CheckOutcome, CheckResponse, add_limits, build_response, code_of
from portal.check.degraded.failure_policy import DegradedDecider, retry_after_ms
from portal.check.denials import find_denial, store_denial
from portal.check.explain import explain
from portal.check.journal_batch import JournalBatch, OnChecked, Outcome
from portal.check.journal_entry import JournalEntry, usage_record
from portal.check.policy.cache import CachedPolicy, PolicyCache
from portal.check.policy.compile import load_seed
from portal.check.policy.prepared import PreparedPolicy
from portal.check.policy.single_flight import SingleFlight
from portal.check.policy.version_poller import VersionPoller
from portal.check.request import CheckRequest
from portal.check.request_ids import RequestIds
from portal.check.rules import Code, pre_check
from portal.core.database import Database
from portal.keys import secret_digest, secret_problem
from portal.limits import Decision, Limiter, LimitRequest, LimitsUnavailable, Mode, Seed, Status
from portal.usage import Journal

MAX_ROUNDS = 5
_ADMITTED, _REPEATED, _STALE, _UNSEEDED = Status.ADMITTED, Status.REPEATED, Status.STALE, Status.UNSEEDED


class CheckUnavailable(Exception):
    """No decision: the failure policy says closed, or the account changes faster than it can be read."""


class _Job(msgspec.Struct, gc=False):
    """One check on its way; `terms` and `asked` from the moment at which its policy is known."""

    service_id: str
    request: CheckRequest
    digest: bytes
    on_checked: OnChecked
    prepared: PreparedPolicy = cast(PreparedPolicy, None)
    asked: LimitRequest = cast(LimitRequest, None)
    denial: Code | None = None
    seed: Seed | None = None
    rounds: int = 0
    asked_at: float = 0.0


class Checker:
    """One a process."""

    def __init__(
        self, database: Database, limiter: Limiter, journal: Journal, policies: PolicyCache, *, processes: int = 1
    ) -> None:
        """`processes`: how many of them serve checks, for plans that let each admit its part without Redis."""
        self.policies = policies
        self.limiter = limiter
        self.journal = journal
        self.database = database
        self.ids = RequestIds()
        self.turn = JournalBatch(journal)
        self.degraded_decider = DegradedDecider(database, processes)
        self.stale = self.unseeded = 0
        self.versions = VersionPoller(database, policies)
        self._seeds: SingleFlight[Seed] = SingleFlight()
        self._tasks: set[asyncio.Task[None]] = set()

    async def close(self) -> None:
        """No more checks come: what still runs on their behalf ends."""
        await self.versions.close()

    def start(self, service_id: str, request: CheckRequest, on_checked: OnChecked) -> None:
        """Decide; `on_checked` is called later with what is counted by then, or the error that prevented an answer.

        Errors: CheckUnavailable, JournalUnavailable, and whatever PostgreSQL raises when it is needed and away.
        """
        job = _Job(service_id, request, secret_digest(request.key), on_checked)
        cached = self.policies.known(job.digest)
        if cached is not None:
            self._request_decision(job, cached)
        elif secret_problem(request.key) is None:
            self._await(job, self._look_up(job))
        else:
            self.turn.add(self._not_found(), None, on_checked)

    async def check(self, service_id: str, request: CheckRequest) -> CheckOutcome:
        """The same, awaited; raises the errors."""
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self.start(service_id, request, lambda outcome: None if future.done() else future.set_result(outcome))
        outcome = await future
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def _request_decision(self, job: _Job, cached: CachedPolicy) -> None:
        """Ask the limiter; a denial by the pre-checks only has its policy confirmed."""
        request = job.request
        job.prepared = prepared = cached.prepared_for(request.resource)
        if prepared.is_plain and not request.scopes:
            job.denial = None
        else:
            job.denial = pre_check(prepared.policy, request, self.ids.now_us())
        if job.denial is None and job.seed is None and request.id is None and not request.explain:
            job.asked = prepared.consume_request(request.cost)
            denied = find_denial(prepared, request.cost) if prepared.denials else None
            if denied is not None:
                self._answer(job, denied)
                return
        else:
            job.asked = self._build_request(job)
        job.asked_at = monotonic()
        self.limiter.decide(job.asked, partial(self._decided, job))

    def _build_request(self, job: _Job) -> LimitRequest:
        """A request to the limiter with what is of this check alone."""
        request, policy = job.request, job.prepared.policy
        mode = Mode.LOOK if request.explain else Mode.CONSUME if job.denial is None else Mode.CONFIRM
        asked = job.prepared.build_request(mode, request.cost, job.seed)
        if request.id is not None and mode is Mode.CONSUME:
            stored = JournalEntry(self.ids.next(0), policy.secret_id, request.resource, request.cost, request.ip or "")
            name = f"{job.service_id}:{policy.key_id}:{request.id}"
            asked.retry = (name, msgspec.json.encode(stored).decode())
        return asked

    def _decided(self, job: _Job, decision: Decision | LimitsUnavailable) -> None:
        """What a decision leads to; an error of ours reaches this caller alone, not those of the same batch."""
        try:
            if isinstance(decision, LimitsUnavailable):
                self._on_redis_unavailable(job, decision)
            else:
                self._handle_decision(job, decision)
        except Exception as error:
            job.on_checked(error)

    def _handle_decision(self, job: _Job, decision: Decision) -> None:
        status = decision.status
        if status is not _REPEATED:
            self.ids.heard(decision.now_us)
        if status is _STALE:
            self.stale += 1
            self._await(job, self._reload(job))
        elif status is _UNSEEDED:
            self.unseeded += 1
            self._await(job, self._seed(job))
        elif job.request.explain:
            explained = explain(job.prepared, job.request, decision, self.ids.next(decision.now_us))
            self.turn.add(explained, None, job.on_checked)
        elif job.denial is not None:
            self._answer(job, decision, job.denial)
        else:
            if status is not _ADMITTED:
                store_denial(job.prepared, job.asked, decision, job.asked_at)
            if job.prepared.policy.failure_policy == "local" and status is not _REPEATED:
                self.degraded_decider.heard(job.prepared.policy, decision, job.request.cost)
            if job.asked.retry is None:
                self._answer(job, decision)
            else:
                self._answer_retried(job, decision)

    def _answer(self, job: _Job, decision: Decision, denial: Code | None = None) -> None:
        """The answer that the limiter's decision makes, or a denial by the pre-checks that it confirmed."""
        request, prepared = job.request, job.prepared
        now_us, cost, is_admitted = decision.now_us, request.cost, decision.status is _ADMITTED
        answer = build_response(prepared.policy, denial or code_of(decision.status), self.ids.next(now_us))
        checked = CheckOutcome(answer, prepared, decision)
        add_limits(checked, cost, cost if is_admitted else 0)
        counted = JournalEntry(answer.request_id, prepared.policy.secret_id, request.resource, cost, request.ip or "")
        record = usage_record(prepared.policy, answer, counted, now_us, decision.period)
        self.turn.add(checked, record, job.on_checked)

    def _answer_retried(self, job: _Job, decision: Decision) -> None:
        """To a check with an id: a repeated answer repeats the first check's record too."""
        is_repeated = decision.status is _REPEATED
        blob = decision.blob if is_repeated else cast(tuple[str, str], job.asked.retry)[1]
        first = msgspec.json.decode(blob, type=JournalEntry)
        policy, prepared = job.prepared.policy, job.prepared
        if first.resource != job.request.resource:
            prepared = PreparedPolicy(policy, first.resource)
        code = code_of(decision.first_status if is_repeated else decision.status)
        answer = build_response(policy, code, self.ids.at(first.request_id, decision.now_us))
        if len(prepared.limits) != len(decision.states):
            # Limits were added or dropped since the first answer: its states have no names any more.
            decision = msgspec.structs.replace(decision, states=[])
        checked = CheckOutcome(answer, prepared, decision)
        add_limits(checked, first.cost, first.cost if code is Code.VALID else 0)
        self.turn.add(checked, usage_record(policy, answer, first, decision.now_us), job.on_checked)

    def _answer_degraded(self, job: _Job, code: Code, *, is_degraded: bool, decision: Decision | None = None) -> None:
        """An answer that Redis had no part in; `decision` is the failure policy's."""
        now_us, policy, request = self.ids.now_us(), job.prepared.policy, job.request
        answer = build_response(policy, code, self.ids.next(now_us), is_degraded=is_degraded)
        checked = CheckOutcome(answer, job.prepared)
        if decision is not None and decision.states:
            answer.retry_after_ms = retry_after_ms(decision)
            checked.decision = decision
        cost = 0 if request.explain else request.cost
        first = JournalEntry(answer.request_id, policy.secret_id, request.resource, cost, request.ip or "")
        self.turn.add(checked, usage_record(policy, answer, first, now_us), job.on_checked)

    def _on_redis_unavailable(self, job: _Job, error: LimitsUnavailable) -> None:
        """Without Redis: what the pre-checks deny stays denied; the rest goes by the plan's failure policy."""
        policy = job.prepared.policy
        self.versions.answered_without_redis(policy.account_id)
        if job.denial is not None:
            self._answer_degraded(job, job.denial, is_degraded=True)
            return
        now_us = self.ids.now_us()
        decision = None if job.request.explain else self.degraded_decider.decide(policy, job.asked, now_us)
        if decision is None:
            job.on_checked(CheckUnavailable(str(error)))
        else:
            self._answer_degraded(job, code_of(decision.status), is_degraded=True, decision=decision)

    def _not_found(self) -> CheckOutcome:
        return CheckOutcome(
            CheckResponse(valid=False, code=Code.NOT_FOUND, request_id=self.ids.next(self.ids.now_us()))
        )

    def _await(self, job: _Job, step: Coroutine[Any, Any, None]) -> None:
        async def guarded() -> None:
            try:
                await step
            except Exception as error:
                job.on_checked(error)

        task = asyncio.create_task(guarded())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _look_up(self, job: _Job) -> None:
        self._retry(job, await self.policies.get(job.digest))

    async def _reload(self, job: _Job) -> None:
        job.seed = None
        self._retry(job, await self.policies.reload(job.digest))

    async def _seed(self, job: _Job) -> None:
        policy = job.prepared.policy
        job.seed = await self._seeds.run(policy.account_id, lambda: load_seed(self.database, policy))
        self._retry(job, CachedPolicy(policy))

    def _retry(self, job: _Job, cached: CachedPolicy | None) -> None:
        job.rounds += 1
        if cached is None:
            self.turn.add(self._not_found(), None, job.on_checked)
        elif job.rounds > MAX_ROUNDS:
            job.on_checked(CheckUnavailable("the account changes faster than it can be read"))
        else:
            self._request_decision(job, cached)
