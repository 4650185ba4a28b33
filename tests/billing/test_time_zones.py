"""An account that moves about: its quota, drafts and invoices follow the stored ends, whichever zones it chose."""

from collections.abc import Sequence
from datetime import timedelta
from itertools import pairwise

import pytest
from sqlalchemy import text

from portal import accounts, billing, plans
from portal.core.actor import SYSTEM, Actor
from portal.core.database import Database
from portal.core.ids import AccountId
from portal.plans import AccountPeriod
from portal.usage import encode_batch, ingest_usage
from tests.billing.account import choose, finalize_all, lines, month, new_account, number_of
from tests.usage.sample import record

DAY, SECOND = timedelta(days=1), timedelta(seconds=1)
FORGET = text("DELETE FROM billing_periods WHERE account_id = :account")
MOVES = [
    ("Europe/Berlin", ["Europe/London", "Asia/Tokyo"]),
    ("Etc/GMT+12", ["Pacific/Kiritimati", "Etc/GMT+12"]),
    ("Pacific/Kiritimati", ["Etc/GMT+12", "Pacific/Kiritimati"]),
    ("UTC", ["America/Havana", "Asia/Kathmandu"]),
    ("Asia/Kathmandu", ["Asia/Kathmandu", "Australia/Lord_Howe"]),
]


async def moved(database: Database, first: str, zones: Sequence[str]) -> tuple[str, list[AccountPeriod]]:
    """Return an account opened three months ago and its periods since: it chose a zone in each of the first two."""
    account_id = await new_account(database, opened=month(3) + DAY, time_zone=first)
    actor = Actor("system", SYSTEM.id, AccountId(account_id))
    async with database.transaction() as tx:
        await tx.execute(FORGET, {"account": account_id})
        now = tx.now
        for back, zone in zip((3, 2), zones, strict=True):
            tx.now = month(back) + 10 * DAY
            await plans.set_time_zone(tx, actor, zone)
        tx.now = now
        account = await accounts.lock_account(tx, account_id)
        periods = (await plans.store_periods(tx, [account]))[account_id]
    found = [periods.at(month(3) + DAY)]
    while found[-1].end <= now:
        found.append(periods.after(found[-1]))
    return account_id, found


async def use_at_the_edges(database: Database, account_id: str, periods: Sequence[AccountPeriod]) -> None:
    """Count 1 unit in the first and 10 in the last second of each period that is over."""
    counted = []
    for number, period in enumerate(periods):
        for at, cost in ((period.start + SECOND, 1), (period.end - SECOND, 10)):
            counted.append(record(number * 10 + cost, at, account_id=account_id, cost=cost, period=period.name))
    await ingest_usage(database, encode_batch(counted))


@pytest.mark.parametrize(("first", "zones"), MOVES)
async def test_each_period_is_billed_once_with_all_its_units_and_one_fee(
    own: Database, first: str, zones: list[str]
) -> None:
    account_id, periods = await moved(own, first, zones)
    await choose(own, account_id, "pro", periods[0].start + DAY + SECOND)
    *over, current = periods
    await use_at_the_edges(own, account_id, over)
    done = await finalize_all(own, account_id)
    assert [one.period for one in done] == [period.name for period in over]
    for one, period in zip(done, over, strict=True):
        assert one.invoice is not None
        assert (one.invoice.period_start, one.invoice.period_end) == (period.start, period.end)
        found = await lines(own, account_id, one.invoice)
        following = next(after for before, after in pairwise(periods) if before == period)
        assert [line for line in found if line[:2] == ("fee", following.name)] == [
            ("fee", following.name, None, "49.00")
        ]
        assert sum(units for kind, name, units, _ in found if kind == "usage" and name == period.name) == 11
        assert await number_of(own, one.invoice)
    async with own.snapshot() as tx:
        for period in over:
            assert await billing.audit_invoices(tx, [account_id], period.name) == []
        assert (await billing.draft_invoice(tx, account_id)).period == current


async def test_late_usage_of_a_moved_period_is_found_in_it(own: Database) -> None:
    account_id, periods = await moved(own, "Etc/GMT+12", ["Pacific/Kiritimati", "Asia/Tokyo"])
    await choose(own, account_id, "pro", periods[0].start + DAY + SECOND)
    first, second, *_ = periods
    await use_at_the_edges(own, account_id, [first])
    async with own.transaction() as tx:
        await billing.finalize_invoice(tx, account_id, timedelta(0))
    at = second.start - SECOND
    late = record(99, at, account_id=account_id, cost=2_000_000, period=first.name)
    await ingest_usage(own, encode_batch([late]))
    done = (await finalize_all(own, account_id))[0]
    assert ("adjustment", first.name, 2_000_000) in [line[:3] for line in await lines(own, account_id, done.invoice)]


@pytest.mark.parametrize(("first", "zones"), MOVES)
@pytest.mark.parametrize("before", [timedelta(minutes=30), timedelta(hours=20)])
async def test_a_plan_that_was_left_in_the_last_hours_of_a_period_has_no_day_of_the_next(
    own: Database, first: str, zones: list[str], before: timedelta
) -> None:
    """Whatever date those hours have in the zone of the next period."""
    account_id, periods = await moved(own, first, zones)
    await choose(own, account_id, "pro", periods[0].start + DAY + SECOND)
    async with own.transaction() as tx:
        await tx.execute(
            text("""
                INSERT INTO plan_choices (account_id, chosen_at, plan_id)
                SELECT :account, :at, id FROM plans WHERE slug = 'free'
            """),
            {"account": account_id, "at": periods[0].end - before},
        )
        await tx.execute(
            text("""
                UPDATE subscriptions SET started_at = :at, plan_id = (SELECT id FROM plans WHERE slug = 'free')
                WHERE account_id = :account
            """),
            {"account": account_id, "at": periods[0].end - before},
        )
    done = await finalize_all(own, account_id)
    found = await lines(own, account_id, done[0].invoice)
    assert [(kind, name) for kind, name, *_ in found if kind == "fee"] == [("fee", periods[0].name)]
    assert [one.invoice is None for one in done[1:]] == [True] * (len(done) - 1)
