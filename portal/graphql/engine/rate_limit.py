"""What a caller may spend on GraphQL: a token bucket of the product's own limiter, filled again within a minute.

Failure: while Redis is away nobody is charged and nobody is refused; the bounds on each single operation hold without
it. The answer then has no allowance in its extensions and no RateLimit headers, and a metric counts it.

Being refused costs too, as reading a document is work: whoever sends what they cannot pay for soon has less left than
that, and is then refused before anything is read (spent.py).
"""

from dataclasses import dataclass, replace
from time import monotonic

from portal.core.actor import Actor
from portal.core.logs import get_log
from portal.graphql.engine.rate_limit_cache import RateLimitCache
from portal.limits import ADMITS, NEVER, Bucket, Limiter, LimitRequest, LimitsUnavailable, Mode, Subject

WINDOW_SECONDS = 60
ANONYMOUS_SHARE = 100
"""Nobody in particular gets this part of it, by address."""
REFUSED_COST = 10
"""Of a document that is not run: reading and checking it was work too."""


@dataclass(frozen=True, slots=True)
class RateLimitResult:
    """`remaining` after this operation; `retry_seconds` is None where it was admitted."""

    limit: int
    remaining: int
    reset_seconds: int
    retry_seconds: int | None = None


class GraphQLRateLimiter:
    """Of everybody; one a process."""

    def __init__(self, limiter: Limiter, per_minute: int) -> None:
        self._limiter = limiter
        self._per_minute = per_minute
        self._spent = RateLimitCache()

    def spent(self, actor: Actor) -> RateLimitResult | None:
        """The refusal of a caller who has not even left what a refusal costs; None: not known to be so."""
        name, limit = _name(actor), self._limit(actor)
        wait = self._spent.seconds_left(name, monotonic())
        if wait is None:
            return None
        remaining = max(0, int(min(REFUSED_COST, limit) - wait * limit / WINDOW_SECONDS))
        return RateLimitResult(limit, remaining, _full_again(limit - remaining, limit), int(wait) + 1)

    async def charge(self, actor: Actor, cost: int) -> RateLimitResult | None:
        """Take `cost`; where there is less, what a refusal costs, if there is that. None: Redis is away."""
        charged = await self._take(actor, cost)
        if charged is None or charged.retry_seconds is None:
            return charged
        fee = await self._take(actor, REFUSED_COST) if cost > REFUSED_COST else charged
        if fee is not None and fee.retry_seconds is None:
            later = _full_again(REFUSED_COST, fee.limit)
            return replace(fee, retry_seconds=charged.retry_seconds + later)
        self._remember(actor, fee or charged)
        known = self.spent(actor)
        wait = 0 if known is None or known.retry_seconds is None else known.retry_seconds
        return replace(charged, retry_seconds=max(charged.retry_seconds, wait))

    async def _take(self, actor: Actor, cost: int) -> RateLimitResult | None:
        name, limit = _name(actor), self._limit(actor)
        subject = Subject(name, bucket=Bucket(limit, limit, WINDOW_SECONDS * 1_000_000))
        shard = name if actor.kind == "anonymous" else actor.account_id
        try:
            decision = await self._limiter.decide_one(
                LimitRequest(shard, 0, Mode.CONSUME, cost, (subject,), None),
            )
        except LimitsUnavailable as error:
            get_log(__name__).warning("graphql_not_charged", error=str(error))
            return None
        (state,) = decision.states
        if state.retry_us == ADMITS:
            remaining = max(0, limit - state.used - cost)
            return RateLimitResult(limit, remaining, _full_again(limit - remaining, limit))
        wait = WINDOW_SECONDS if state.retry_us == NEVER else -(-state.retry_us // 1_000_000)
        return RateLimitResult(limit, max(0, limit - state.used), _full_again(state.used, limit), wait)

    def _remember(self, actor: Actor, charged: RateLimitResult) -> None:
        """Until there is again what a refusal costs."""
        short = min(REFUSED_COST, charged.limit) - charged.remaining
        if short > 0:
            now = monotonic()
            self._spent.remember(_name(actor), now + short * WINDOW_SECONDS / charged.limit, now)

    def _limit(self, actor: Actor) -> int:
        return self._per_minute // ANONYMOUS_SHARE if actor.kind == "anonymous" else self._per_minute


def _name(actor: Actor) -> str:
    if actor.kind == "anonymous":
        return f"graphql:{actor.address or 'unknown'}"
    return f"graphql:{actor.account_id}:{actor.id}"


def _full_again(used: int, limit: int) -> int:
    return -(-used * WINDOW_SECONDS // limit)
