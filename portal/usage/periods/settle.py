"""Settle: replace the reserved cost of an admitted check by the real one, once, within ten minutes."""

from dataclasses import dataclass
from datetime import timedelta

from portal.core.database import Tx
from portal.core.environments import LIVE
from portal.core.errors import Conflict, NotFound
from portal.usage.events import UsageSettled
from portal.usage.periods import store
from portal.usage.records import VALID, occurred_at

MAX_AGE = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Settlement:
    """`added` units (negative: given back) in the account's period; 0 when this very settlement was made before.

    `settled` is what all settlements of the period have added.
    """

    account_id: str
    period: str
    added: int
    settled: int
    is_billable: bool


async def settle_usage(tx: Tx, request_id: str, cost: int) -> Settlement:
    """Replace the cost in raw event, buckets and period together. Settling again with the same cost changes nothing.

    Raises NotFound (unknown, not admitted, or not ingested yet), Conflict (settled at another cost, or too late).
    """
    try:
        at = occurred_at(request_id)
    except ValueError:
        raise NotFound("This is not a requestId of a check.", path=("requestId",)) from None
    event = await store.lock_event(tx, at, request_id)
    if event is None or event.code != VALID:
        raise NotFound("No admitted check has this requestId.", path=("requestId",))
    is_billable = event.environment == LIVE
    if event.settled_at is not None:
        if event.cost != cost:
            raise Conflict(f"This check is settled already, at {event.cost}.", path=("requestId",))
        return Settlement(event.account_id, event.period, 0, 0, is_billable)
    if tx.now - event.occurred_at > MAX_AGE:
        raise Conflict("A check can be settled within ten minutes.", path=("requestId",))
    added = cost - event.cost
    settled = await store.update_cost(tx, event, cost)
    if added and is_billable:
        tx.emit(
            UsageSettled(
                account_id=event.account_id, request_id=request_id, period=event.period, added=added, settled=settled
            )
        )
    return Settlement(event.account_id, event.period, added, settled, is_billable)
