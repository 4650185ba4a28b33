"""The rate limit of GraphQL by cost: a token bucket of the product's own limiter for each caller, refilled in a minute.

Failure: while Redis is away each process charges by itself (LocalLimiter), beginning with a full allowance. What that
admits is not known elsewhere: the answer then has no allowance in its extensions and no RateLimit headers, and a metric
counts it. What it refuses is refused as ever.

Being refused costs too, as reading a document is work: whoever sends what they cannot pay for soon has less left than
that, and is then refused before anything is read (RefusedCallers).
"""

from dataclasses import dataclass, replace
from math import ceil
from time import monotonic, monotonic_ns

from portal.core.actor import Actor
from portal.core.addresses import address_group
from portal.core.logs import get_log
from portal.limits import ADMITS, NEVER, Bucket, Limiter, LimitRequest, LimitsUnavailable, LocalLimiter, Mode, Subject

RATE_LIMIT_WINDOW_SECONDS = 60
ANONYMOUS_SHARE = 100
"""Nobody in particular gets this part of it, by address (IPv6 by its /64)."""
REFUSED_COST = 10
"""Of a document that is not run: reading and checking it was work too."""
MAX_CALLERS = 10_000


@dataclass(frozen=True, slots=True)
class RateLimitResult:
    """`remaining` after this operation; `retry_seconds` is None where it was admitted."""

    limit: int
    remaining: int
    reset_seconds: int
    retry_seconds: int | None = None


class RefusedCallers:
    """Callers that have not even left what a refusal costs, and until when: refusing them again reads nothing.

    Another process does not know of them and finds out by a charge. Holds at most `most` callers; one that does not fit
    is not remembered. Instants are seconds of one clock.
    """

    def __init__(self, most: int = MAX_CALLERS) -> None:
        self._most = most
        self._until: dict[str, float] = {}

    def remember(self, name: str, until: float, now: float) -> None:
        if len(self._until) >= self._most:
            self._until = {other: end for other, end in self._until.items() if end > now}
        if len(self._until) < self._most:
            self._until[name] = until

    def seconds_left(self, name: str, now: float) -> float | None:
        """Return how long the caller is refused unread; None where nothing is known against them."""
        until = self._until.get(name)
        if until is None:
            return None
        if until <= now:
            del self._until[name]
            return None
        return until - now


class GraphQLRateLimiter:
    """Charges every caller of this process."""

    def __init__(self, limiter: Limiter, per_minute: int) -> None:
        self._limiter = limiter
        self._per_minute = per_minute
        self._refusals = RefusedCallers()
        self._local_limiter = LocalLimiter(processes=1)

    def find_refusal(self, actor: Actor) -> RateLimitResult | None:
        """Return the refusal of a caller who is known to have less left than a refusal costs, else None."""
        name, limit = _name(actor), self._limit(actor)
        wait = self._refusals.seconds_left(name, monotonic())
        if wait is None:
            return None
        remaining = max(0, int(min(REFUSED_COST, limit) - wait * limit / RATE_LIMIT_WINDOW_SECONDS))
        return RateLimitResult(limit, remaining, _full_again(limit - remaining, limit), int(wait) + 1)

    async def charge(self, actor: Actor, cost: int) -> RateLimitResult | None:
        """Charge `cost`, or what a refusal costs where less is left. None: by this process alone."""
        charged = await self._take(actor, cost)
        if charged is None or charged.retry_seconds is None:
            return charged
        fee = await self._take(actor, REFUSED_COST) if cost > REFUSED_COST else charged
        if fee is not None and fee.retry_seconds is None:
            later = _full_again(REFUSED_COST, fee.limit)
            return replace(fee, retry_seconds=charged.retry_seconds + later)
        self._remember(actor, fee or charged)
        known = self.find_refusal(actor)
        wait = 0 if known is None or known.retry_seconds is None else known.retry_seconds
        return replace(charged, retry_seconds=max(charged.retry_seconds, wait))

    async def _take(self, actor: Actor, cost: int) -> RateLimitResult | None:
        name, limit = _name(actor), self._limit(actor)
        subject = Subject(name, bucket=Bucket(limit, limit, RATE_LIMIT_WINDOW_SECONDS * 1_000_000))
        shard = name if actor.kind == "anonymous" else actor.account_id
        try:
            decision = await self._limiter.decide_one(
                LimitRequest(shard, 0, Mode.CONSUME, cost, (subject,), None),
            )
        except LimitsUnavailable as error:
            get_log(__name__).warning("graphql_charged_locally", error=str(error))
            return self._take_locally(subject, cost, limit)
        (state,) = decision.states
        if state.retry_us == ADMITS:
            remaining = max(0, limit - state.used - cost)
            return RateLimitResult(limit, remaining, _full_again(limit - remaining, limit))
        wait = RATE_LIMIT_WINDOW_SECONDS if state.retry_us == NEVER else -(-state.retry_us // 1_000_000)
        return RateLimitResult(limit, max(0, limit - state.used), _full_again(state.used, limit), wait)

    def _take_locally(self, subject: Subject, cost: int, limit: int) -> RateLimitResult | None:
        """Charge in this process alone; None: admitted, and what is left is not known."""
        now_us = monotonic_ns() // 1000
        wait_us = self._local_limiter.take([(subject, cost)], now_us)
        if wait_us == ADMITS:
            return None
        (until_full_us,) = self._local_limiter.waits([(subject, limit)], now_us)
        until_full = 0.0 if until_full_us == ADMITS else until_full_us / 1_000_000
        remaining = 0 if until_full_us == NEVER else limit - ceil(until_full * limit / RATE_LIMIT_WINDOW_SECONDS)
        wait = RATE_LIMIT_WINDOW_SECONDS if wait_us == NEVER else -(-wait_us // 1_000_000)
        return RateLimitResult(limit, max(0, remaining), _full_again(limit - remaining, limit), wait)

    def _remember(self, actor: Actor, charged: RateLimitResult) -> None:
        """Remember the caller until there is again as much left as a refusal costs."""
        short = min(REFUSED_COST, charged.limit) - charged.remaining
        if short > 0:
            now = monotonic()
            self._refusals.remember(_name(actor), now + short * RATE_LIMIT_WINDOW_SECONDS / charged.limit, now)

    def _limit(self, actor: Actor) -> int:
        return self._per_minute // ANONYMOUS_SHARE if actor.kind == "anonymous" else self._per_minute


def _name(actor: Actor) -> str:
    if actor.kind == "anonymous":
        return f"graphql:{address_group(actor.address or 'unknown')}"
    return f"graphql:{actor.account_id}:{actor.id}"


def _full_again(used: int, limit: int) -> int:
    return -(-used * RATE_LIMIT_WINDOW_SECONDS // limit)
