"""What a plan's failure policy answers while the account's shard is away.

`open` admits. `closed` decides nothing. `local` admits this process's part of each limit (local_allowance.py) and of
what was left of the quota when Redis last told of the account; where it never did, nothing is decided until PostgreSQL,
asked in the background, has told.
"""

import asyncio
from collections import Counter, OrderedDict
from contextlib import suppress
from time import monotonic_ns

from portal.check.degraded.local_limiter import LocalLimiter
from portal.check.policy.compile import KeyPolicy, load_seed, period_at
from portal.core.database import Database
from portal.limits import ADMITS, NEVER, Decision, LimitRequest, LimitState, Status

MAX_ACCOUNTS = 100_000
MAX_CONCURRENT_LOOK_UPS = 4
MAX_RETRY_US = 5_000_000
"""A breaker's time: by then Redis may be back and admit what a part of the limit did not."""


class _Use:
    """Of an account's quota in a period: what Redis counted when last heard, and what was admitted here since."""

    __slots__ = ("here", "period", "used")

    def __init__(self, period: str, used: int) -> None:
        self.period = period
        self.used = used
        self.here = 0


class DegradedDecider:
    """One a process; `processes` serve checks in all. `answered`: how often, by policy and code."""

    def __init__(self, database: Database, processes: int) -> None:
        self.answered: Counter[tuple[str, str]] = Counter()
        self._database = database
        self._processes = processes
        self._allowance = LocalLimiter(processes)
        self._uses: OrderedDict[str, _Use] = OrderedDict()
        self._look_ups: dict[str, asyncio.Task[None]] = {}

    def heard(self, policy: KeyPolicy, decision: Decision, cost: int) -> None:
        """Redis decided: from here on its count is the last known one."""
        if policy.quota is None or decision.period < 0:
            return
        taken = cost if decision.status is Status.ADMITTED else 0
        self._know(policy.account_id, _Use(policy.quota.periods[decision.period][0], decision.used + taken))

    def decide(self, policy: KeyPolicy, asked: LimitRequest, now_us: int) -> Decision | None:
        """A decision whose states tell only what to wait; None: no decision. `now_us` is Redis's clock, estimated."""
        decision = None
        if policy.failure_policy == "open":
            decision = Decision(Status.ADMITTED, now_us)
        elif policy.failure_policy == "local":
            decision = self._decide_here(policy, asked, now_us)
        self.answered[policy.failure_policy, decision.status.name if decision else "UNDECIDED"] += 1
        return decision

    def _decide_here(self, policy: KeyPolicy, asked: LimitRequest, now_us: int) -> Decision | None:
        use = self._use(policy, asked, now_us)
        if use is None and asked.quota is not None and asked.quota.amount >= 0:
            self._look_up(policy, now_us)
            return None
        demands = [*zip(asked.subjects, asked.costs or (asked.cost,) * len(asked.subjects), strict=True)]
        here_us = monotonic_ns() // 1000
        waits = self._allowance.look(demands, here_us)
        states = [LimitState(0, 0, min(wait, MAX_RETRY_US)) for wait in waits]
        if any(wait != ADMITS for wait in waits):
            return Decision(Status.RATE_LIMITED, now_us, states=states)
        if use is not None and not self._has_quota(use, asked):
            return Decision(Status.QUOTA_EXCEEDED, now_us, states=states)
        self._allowance.take(demands, here_us)
        if use is not None:
            use.here += asked.cost
        return Decision(Status.ADMITTED, now_us, states=states)

    def _has_quota(self, use: _Use, asked: LimitRequest) -> bool:
        amount = asked.quota.amount if asked.quota is not None else -1
        return amount < 0 or use.here + asked.cost <= max(0, amount - use.used) // self._processes

    def _use(self, policy: KeyPolicy, asked: LimitRequest, now_us: int) -> _Use | None:
        """In the period of now: one that began since Redis was heard has nothing used."""
        use = self._uses.get(policy.account_id)
        if use is None or asked.quota is None:
            return None
        period = period_at(policy, now_us)
        if use.period != period:
            use = _Use(period, 0)
            self._know(policy.account_id, use)
        return use

    def _know(self, account_id: str, use: _Use) -> None:
        self._uses[account_id] = use
        self._uses.move_to_end(account_id)
        while len(self._uses) > MAX_ACCOUNTS:
            self._uses.popitem(last=False)

    def _look_up(self, policy: KeyPolicy, now_us: int) -> None:
        """In nobody's way, and few at once: a Redis that is away must not bring PostgreSQL down as well."""
        if policy.account_id in self._look_ups or len(self._look_ups) >= MAX_CONCURRENT_LOOK_UPS:
            return
        task = asyncio.create_task(self._learn(policy, period_at(policy, now_us)))
        self._look_ups[policy.account_id] = task
        task.add_done_callback(lambda _: self._look_ups.pop(policy.account_id, None))

    async def _learn(self, policy: KeyPolicy, period: str) -> None:
        with suppress(Exception):
            seed = await load_seed(self._database, policy)
            self._know(policy.account_id, _Use(period, seed.used.get(period, 0)))


def retry_after_ms(decision: Decision) -> int | None:
    """When to try again after a denial of this kind: soon enough for a Redis that has come back."""
    if decision.status is Status.ADMITTED:
        return None
    waits = [MAX_RETRY_US if state.retry_us == NEVER else state.retry_us for state in decision.states]
    longest = max([wait for wait in waits if wait != ADMITS], default=MAX_RETRY_US)
    return -(-longest // 1000)
