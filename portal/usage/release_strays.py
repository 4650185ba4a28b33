"""Release strays: count them after all, because somebody has looked and decided so."""

from portal import audit
from portal.core.actor import Actor, Permission
from portal.core.database import Database, Tx
from portal.usage import store
from portal.usage.ingest import staged_row
from portal.usage.partitions import create_partitions
from portal.usage.records import UsageRecord, occurred_at
from portal.usage.rules import month_of
from portal.usage.store import PeriodUse
from portal.usage.strays import TAKEN_AT_ONCE, list_stray_times, take_strays


async def release_strays(database: Database, actor: Actor, reason: str | None) -> tuple[int, list[PeriodUse]]:
    """How many of the actor's account were counted, and the totals of their periods. Raises Forbidden but for staff.

    Each leaves the strays as it is counted, or neither. A month that retention has dropped gets its partitions anew,
    and loses them again at the next round; the billing period keeps the units.
    """
    actor.require(Permission.STAFF)
    async with database.transaction() as tx:
        months = {month_of(at) for at in await list_stray_times(tx, actor.account_id)}
    await create_partitions(database, sorted(months))
    released = 0
    totals: dict[tuple[str, str], PeriodUse] = {}
    while True:
        async with database.transaction() as tx:
            taken = await take_strays(tx, actor.account_id, reason)
            counted = await _count(tx, taken)
            if taken:
                await audit.record(tx, actor, "usage.stray.release", actor.account_id, count=len(taken))
        released += len(taken)
        totals |= {(total.account_id, total.period): total for total in counted}
        if len(taken) < TAKEN_AT_ONCE:
            return released, [*totals.values()]


async def _count(tx: Tx, taken: list[UsageRecord]) -> list[PeriodUse]:
    await store.stage_events(tx, [staged_row(record, occurred_at(record.request_id)) for record in taken])
    _, totals = await store.insert_staged(tx)
    return totals
