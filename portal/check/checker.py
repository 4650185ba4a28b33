"""Decide checks. Every route and every test goes through `Checker`.

A check whose policy is in memory runs in callbacks, without a task of its own: it leaves with the others of its loop
turn in one script call and one journal write. What needs PostgreSQL (a cold policy, a stale one, lost counters) awaits.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any

import msgspec

from portal.check.answer import Answer, Checked, add_limits, answer_for, code_of
from portal.check.explain import explain
from portal.check.policy import KeyPolicy, load_seed, period_at
from portal.check.policy_cache import CachedPolicy, PolicyCache
from portal.check.request import CheckRequest
from portal.check.request_ids import RequestIds
from portal.check.rules import Code, pre_check
from portal.check.turn import OnChecked, Outcome, Turn
from portal.core.database import Database
from portal.keys import secret_digest, secret_problem
from portal.limits import Decision, Limiter, LimitRequest, LimitsUnavailable, Mode, Seed, Status
from portal.usage import Journal, UsageRecord

ROUNDS_MOST = 5


class CheckUnavailable(Exception):
    """No decision: the failure policy says closed, or the account changes faster than it can be read."""


class _Stored(msgspec.Struct, array_like=True):
    """What a repeated answer needs of the first check."""

    request_id: str
    secret_id: str
    resource: str
    cost: int


class _Job:
    """One check on its way."""

    __slots__ = ("asked", "denial", "digest", "on_checked", "policy", "request", "rounds", "seed", "service_id")

    asked: LimitRequest
    policy: KeyPolicy

    def __init__(self, service_id: str, request: CheckRequest, digest: bytes, on_checked: OnChecked) -> None:
        self.service_id = service_id
        self.request = request
        self.digest = digest
        self.on_checked = on_checked
        self.denial: Code | None = None
        self.seed: Seed | None = None
        self.rounds = 0


class Checker:
    """One a process."""

    def __init__(self, database: Database, limiter: Limiter, journal: Journal, policies: PolicyCache) -> None:
        self.policies = policies
        self.limiter = limiter
        self.journal = journal
        self._database = database
        self._ids = RequestIds()
        self._turn = Turn(journal)
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, service_id: str, request: CheckRequest, on_checked: OnChecked) -> None:
        """Decide; `on_checked` is called later with what is counted by then, or the error that prevented an answer.

        Errors: CheckUnavailable, JournalUnavailable, and whatever PostgreSQL raises when it is needed and away.
        """
        if secret_problem(request.key) is not None:
            self._turn.add(self._not_found(), None, on_checked)
            return
        job = _Job(service_id, request, secret_digest(request.key), on_checked)
        cached = self.policies.known(job.digest)
        if cached is None:
            self._await(job, self._look_up(job))
        else:
            self._ask(job, cached)

    async def check(self, service_id: str, request: CheckRequest) -> Checked:
        """The same, awaited; raises the errors."""
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self.start(service_id, request, lambda outcome: None if future.done() else future.set_result(outcome))
        outcome = await future
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def _ask(self, job: _Job, cached: CachedPolicy) -> None:
        """Ask the limiter; a denial by the pre-checks only has its policy confirmed."""
        policy, request = cached.policy, job.request
        job.policy = policy
        job.denial = pre_check(policy, request, self._ids.now_us())
        mode = Mode.LOOK if request.explain else Mode.CONSUME if job.denial is None else Mode.CONFIRM
        asked = LimitRequest(
            policy.account_id, policy.version, mode, request.cost, policy.subjects, policy.quota, job.seed
        )
        if request.id is not None and mode is Mode.CONSUME:
            stored = _Stored(self._ids.next(0), policy.secret_id, request.resource, request.cost)
            name = f"{job.service_id}:{policy.key_id}:{request.id}"
            asked.retry = (name, msgspec.json.encode(stored).decode())
        job.asked = asked
        self.limiter.decide(asked, lambda outcome: self._decided(job, outcome))

    def _decided(self, job: _Job, decision: Decision | LimitsUnavailable) -> None:
        """What a decision leads to; an error of ours reaches this caller alone, not those of the same batch."""
        try:
            self._go_by(job, decision)
        except Exception as error:
            job.on_checked(error)

    def _go_by(self, job: _Job, decision: Decision | LimitsUnavailable) -> None:
        if isinstance(decision, LimitsUnavailable):
            self._degraded(job, decision)
            return
        if decision.status is not Status.REPEATED:
            self._ids.heard(decision.now_us)
        if decision.status is Status.STALE:
            self._await(job, self._reload(job))
        elif decision.status is Status.UNSEEDED:
            self._await(job, self._seed(job))
        elif job.request.explain:
            answer = explain(job.policy, job.request, decision, self._ids.next(decision.now_us))
            self._turn.add(Checked(answer, job.policy, decision), None, job.on_checked)
        elif job.denial is not None:
            self._deny(job, job.denial, is_degraded=False)
        else:
            self._answer(job, decision)

    def _answer(self, job: _Job, decision: Decision) -> None:
        """The answer that the limiter's decision makes; a repeated one repeats the first check's record too."""
        status, request_id, policy = decision.status, "", job.policy
        first = _Stored("", policy.secret_id, job.request.resource, job.request.cost)
        if job.asked.retry is not None:
            blob = decision.blob if status is Status.REPEATED else job.asked.retry[1]
            first = msgspec.json.decode(blob, type=_Stored)
            request_id = self._ids.at(first.request_id, decision.now_us)
            status = decision.first_status if status is Status.REPEATED else status
        code = code_of(status)
        answer = answer_for(policy, code, request_id or self._ids.next(decision.now_us))
        add_limits(answer, policy, decision, first.cost if code is Code.VALID else 0)
        record = _record(policy, answer, first, decision.now_us)
        self._turn.add(Checked(answer, policy, decision), record, job.on_checked)

    def _deny(self, job: _Job, code: Code, *, is_degraded: bool) -> None:
        """An answer that no limit had a part in."""
        now_us, policy, request = self._ids.now_us(), job.policy, job.request
        answer = answer_for(policy, code, self._ids.next(now_us), is_degraded=is_degraded)
        first = _Stored(answer.request_id, policy.secret_id, request.resource, 0 if request.explain else request.cost)
        self._turn.add(Checked(answer, policy), _record(policy, answer, first, now_us), job.on_checked)

    def _degraded(self, job: _Job, error: LimitsUnavailable) -> None:
        """Without Redis: what the pre-checks deny stays denied; the rest goes by the plan's failure policy."""
        if job.denial is None and (job.policy.failure_policy == "closed" or job.request.explain):
            job.on_checked(CheckUnavailable(str(error)))
        else:
            self._deny(job, job.denial or Code.VALID, is_degraded=True)

    def _not_found(self) -> Checked:
        return Checked(Answer(valid=False, code=Code.NOT_FOUND, request_id=self._ids.next(self._ids.now_us())))

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
        self._go_on(job, await self.policies.get(job.digest))

    async def _reload(self, job: _Job) -> None:
        job.seed = None
        self._go_on(job, await self.policies.reload(job.digest))

    async def _seed(self, job: _Job) -> None:
        job.seed = await load_seed(self._database, job.policy)
        self._go_on(job, CachedPolicy(job.policy))

    def _go_on(self, job: _Job, cached: CachedPolicy | None) -> None:
        job.rounds += 1
        if cached is None:
            self._turn.add(self._not_found(), None, job.on_checked)
        elif job.rounds > ROUNDS_MOST:
            job.on_checked(CheckUnavailable("the account changes faster than it can be read"))
        else:
            self._ask(job, cached)


def _record(policy: KeyPolicy, answer: Answer, first: _Stored, now_us: int) -> UsageRecord | None:
    """One row of usage; a look (cost 0) leaves none."""
    if first.cost == 0:
        return None
    return UsageRecord(
        answer.request_id,
        policy.account_id,
        policy.key_id,
        first.secret_id,
        policy.environment,
        first.resource,
        answer.code.value,
        first.cost,
        period_at(policy, now_us),
    )
