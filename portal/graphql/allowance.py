"""What a caller may spend on GraphQL: a token bucket of the product's own limiter, filled again within a minute.

Failure: while Redis is away nobody is charged and nobody is refused; the bounds on each single operation hold without
it. The answer then has no allowance in its extensions and no RateLimit headers, and a metric counts it.
"""

from dataclasses import dataclass

from portal.core.actor import Actor
from portal.core.logs import get_log
from portal.limits import Bucket, Limiter, LimitRequest, LimitsUnavailable, Mode, Subject

WINDOW_SECONDS = 60
ANONYMOUS_SHARE = 100
"""Nobody in particular gets this part of it, by address."""
_ADMITS = -1


@dataclass(frozen=True, slots=True)
class Charged:
    """`remaining` after this operation; `retry_seconds` is None where it was admitted."""

    limit: int
    remaining: int
    reset_seconds: int
    retry_seconds: int | None = None


class Allowances:
    """Of everybody; one a process."""

    def __init__(self, limiter: Limiter, per_minute: int) -> None:
        self._limiter = limiter
        self._per_minute = per_minute

    async def charge(self, actor: Actor, cost: int) -> Charged | None:
        """Take `cost`, or nothing where that is more than there is. None: Redis is away."""
        is_anonymous = actor.kind == "anonymous"
        limit = self._per_minute // ANONYMOUS_SHARE if is_anonymous else self._per_minute
        name = f"graphql:{actor.address or 'unknown'}" if is_anonymous else f"graphql:{actor.account_id}:{actor.id}"
        subject = Subject(name, bucket=Bucket(limit, limit, WINDOW_SECONDS * 1_000_000))
        shard = name if is_anonymous else actor.account_id
        try:
            decision = await self._limiter.decide_one(
                LimitRequest(shard, 0, Mode.CONSUME, cost, (subject,), None),
            )
        except LimitsUnavailable as error:
            get_log(__name__).warning("graphql_not_charged", error=str(error))
            return None
        (state,) = decision.states
        if state.retry_us == _ADMITS:
            remaining = max(0, limit - state.used - cost)
            return Charged(limit, remaining, _full_again(limit - remaining, limit))
        wait = WINDOW_SECONDS if state.retry_us < 0 else -(-state.retry_us // 1_000_000)
        return Charged(limit, max(0, limit - state.used), _full_again(state.used, limit), wait)


def _full_again(used: int, limit: int) -> int:
    return -(-used * WINDOW_SECONDS // limit)
