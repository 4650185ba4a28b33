"""What a plan's failure policy answers while the account's shard is away.

`open` admits. `closed` decides nothing. `local` admits this process's part of each limit (LocalLimiter) and of
what was left of the quota when Redis last decided for the account; where it never did, nothing is decided until
PostgreSQL, asked in the background, has answered.
"""

import asyncio
from collections import Counter, OrderedDict
from contextlib import suppress
from time import monotonic_ns

from portal.check.policy import KeyPolicy, load_seed, period_at
from portal.core.database import Database
from portal.limits import ADMITS, NEVER, Decision, LimitRequest, LimitState, LocalLimiter, Status

MAX_ACCOUNTS = 100_000
MAX_CONCURRENT_LOOK_UPS = 4
MAX_RETRY_US = 5_000_000
"""By then Redis may be back and admit what a part of the limit did not."""


class _QuotaUse:
    """An account's units in a period: what Redis had counted when it last answered, and what was admitted since."""

    __slots__ = ("admitted_here", "period", "used")

    def __init__(self, period: str, used: int) -> None:
        self.period = period
        self.used = used
        self.admitted_here = 0


class DegradedDecider:
    """Decides for one process of `processes` that serve checks. `decision_counts`: how often, by policy and status."""

    def __init__(self, database: Database, processes: int) -> None:
        self.decision_counts: Counter[tuple[str, str]] = Counter()
        self._database = database
        self._processes = processes
        self._local_limiter = LocalLimiter(processes)
        self._uses: OrderedDict[str, _QuotaUse] = OrderedDict()
        self._look_ups: dict[str, asyncio.Task[None]] = {}

    def note_decision(self, policy: KeyPolicy, decision: Decision, cost: int) -> None:
        """Take over what Redis counted with a decision of its own."""
        if policy.quota is None or decision.period < 0:
            return
        taken = cost if decision.status is Status.ADMITTED else 0
        self._store(policy.account_id, _QuotaUse(policy.quota.periods[decision.period][0], decision.used + taken))

    def decide(self, policy: KeyPolicy, request: LimitRequest, now_us: int) -> Decision | None:
        """Return a decision whose states say only how long to wait; None: no decision.

        `now_us` is Redis's clock, estimated.
        """
        decision = None
        if policy.failure_policy == "open":
            decision = Decision(Status.ADMITTED, now_us)
        elif policy.failure_policy == "local":
            decision = self._decide_locally(policy, request, now_us)
        self.decision_counts[policy.failure_policy, decision.status.name if decision else "UNDECIDED"] += 1
        return decision

    def _decide_locally(self, policy: KeyPolicy, request: LimitRequest, now_us: int) -> Decision | None:
        use = self._use(policy, request, now_us)
        if use is None and request.quota is not None and request.quota.amount >= 0:
            self._look_up(policy, now_us)
            return None
        demands = [*zip(request.subjects, request.costs or (request.cost,) * len(request.subjects), strict=True)]
        local_us = monotonic_ns() // 1000
        waits = self._local_limiter.waits(demands, local_us)
        states = [LimitState(0, 0, min(wait, MAX_RETRY_US)) for wait in waits]
        if any(wait != ADMITS for wait in waits):
            return Decision(Status.RATE_LIMITED, now_us, states=states)
        if use is not None and not self._has_quota(use, request):
            return Decision(Status.QUOTA_EXCEEDED, now_us, states=states)
        self._local_limiter.count(demands, local_us)
        if use is not None:
            use.admitted_here += request.cost
        return Decision(Status.ADMITTED, now_us, states=states)

    def _has_quota(self, use: _QuotaUse, request: LimitRequest) -> bool:
        amount = request.quota.amount if request.quota is not None else -1
        return amount < 0 or use.admitted_here + request.cost <= max(0, amount - use.used) // self._processes

    def _use(self, policy: KeyPolicy, request: LimitRequest, now_us: int) -> _QuotaUse | None:
        """Return the use in the current period: one that began since Redis last answered has nothing used."""
        use = self._uses.get(policy.account_id)
        if use is None or request.quota is None:
            return None
        period = period_at(policy, now_us)
        if use.period != period:
            use = _QuotaUse(period, 0)
            self._store(policy.account_id, use)
        return use

    def _store(self, account_id: str, use: _QuotaUse) -> None:
        self._uses[account_id] = use
        self._uses.move_to_end(account_id)
        while len(self._uses) > MAX_ACCOUNTS:
            self._uses.popitem(last=False)

    def _look_up(self, policy: KeyPolicy, now_us: int) -> None:
        """Load an account's use in the background, few at once: an outage of Redis must not become PostgreSQL's."""
        if policy.account_id in self._look_ups or len(self._look_ups) >= MAX_CONCURRENT_LOOK_UPS:
            return
        task = asyncio.create_task(self._load_use(policy, period_at(policy, now_us)))
        self._look_ups[policy.account_id] = task
        task.add_done_callback(lambda _: self._look_ups.pop(policy.account_id, None))

    async def _load_use(self, policy: KeyPolicy, period: str) -> None:
        with suppress(Exception):
            seed = await load_seed(self._database, policy)
            self._store(policy.account_id, _QuotaUse(period, seed.used.get(period, 0)))


def retry_after_ms(decision: Decision) -> int | None:
    """Return when to try again after such a denial: soon enough for a Redis that has come back."""
    if decision.status is Status.ADMITTED:
        return None
    waits = [MAX_RETRY_US if state.retry_us == NEVER else state.retry_us for state in decision.states]
    longest = max([wait for wait in waits if wait != ADMITS], default=MAX_RETRY_US)
    return -(-longest // 1000)
