"""Stored periods: the choice of a zone, what it moves, who may, several at once, and accounts that nobody stored."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from random import Random

import pytest
from sqlalchemy import text

from portal import accounts, audit, billing, plans
from portal.accounts import PolicyChanged, list_time_zones
from portal.core.actor import ANONYMOUS, Actor
from portal.core.database import Database, Tx
from portal.core.errors import Conflict, Forbidden, Invalid, Unauthenticated
from portal.plans import AccountPeriod, AccountPeriods, first_period, month_period, next_period

MICROSECOND = timedelta(microseconds=1)
INSIDE = timedelta(days=10)
STORED = text("""
SELECT name, time_zone, starts_at, ends_at FROM billing_periods WHERE account_id = :account ORDER BY name
""")


async def stored(tx: Tx, actor: Actor) -> list[AccountPeriod]:
    return [AccountPeriod(*row) for row in await tx.execute(STORED, {"account": actor.account_id})]


async def choose(database: Database, actor: Actor, zone: str, at: datetime | None = None) -> plans.ChosenTimeZone:
    async with database.transaction(actor=actor) as tx:
        tx.now = at or tx.now
        return await plans.set_time_zone(tx, actor, zone)


async def read(database: Database, actor: Actor) -> AccountPeriods:
    """Return the periods as a reader has them, who stores nothing."""
    async with database.snapshot() as tx:
        return await plans.load_periods(tx, await accounts.get_account(tx, actor.account_id))


@pytest.mark.fast
async def test_another_zone_begins_with_the_next_period(database: Database, owner: Actor) -> None:
    async with database.transaction(actor=owner) as tx:
        before = first_period(tx.now, "UTC")
        chosen = await plans.set_time_zone(tx, owner, "Asia/Tokyo")
        assert (chosen.current, chosen.following) == (before, next_period(before, "Asia/Tokyo"))
        assert (chosen.account.time_zone, chosen.account.next_time_zone) == ("UTC", "Asia/Tokyo")
        assert [type(event) for event in tx.events] == [PolicyChanged]
        (row,) = await audit.list_newest(tx, owner.account_id, audit.AuditFilter(), most=1)
        starts = f"{before.end:%Y-%m-%dT%H:%M:%SZ}"
        assert (row.action, row.details) == (
            "account.set_time_zone",
            {"time_zone": "Asia/Tokyo", "effective_from": starts},
        )
        assert await stored(tx, owner) == [chosen.current, chosen.following]
        assert chosen.account.time_zone_at(before.end - MICROSECOND) == "UTC"
        assert chosen.account.time_zone_at(before.end) == "Asia/Tokyo"
    periods = await read(database, owner)
    assert periods.stored == (chosen.current, chosen.following)
    assert periods.at(before.start - MICROSECOND) == month_period(f"{before.start - MICROSECOND:%Y-%m}", "UTC"), (
        "what was before stays as it was"
    )


async def test_the_same_zone_again_changes_nothing(database: Database, owner: Actor) -> None:
    for zone, events in (("UTC", 0), ("Asia/Tokyo", 1), ("Asia/Tokyo", 0), ("UTC", 1), ("UTC", 0)):
        async with database.transaction(actor=owner) as tx:
            await plans.set_time_zone(tx, owner, zone)
            assert len(tx.events) == events
    async with database.transaction(actor=owner) as tx:
        account = await accounts.get_account(tx, owner.account_id)
        assert (account.next_time_zone, account.next_time_zone_from) == (None, None)
        (current, following) = await stored(tx, owner)
        assert following == next_period(current, "UTC")


async def test_a_zone_is_chosen_once_a_period_and_a_withdrawn_one_counts(database: Database, owner: Actor) -> None:
    first = await choose(database, owner, "Asia/Tokyo")
    with pytest.raises(Conflict, match="once in a billing period") as refused:
        await choose(database, owner, "Europe/Berlin")
    assert refused.value.hint is not None
    assert "or return to UTC" in refused.value.hint
    await choose(database, owner, "UTC")
    with pytest.raises(Conflict) as refused:
        await choose(database, owner, "Asia/Tokyo")
    assert "return" not in (refused.value.hint or "")
    assert (await choose(database, owner, "Europe/Berlin", first.current.end)).current.time_zone == "UTC"


@pytest.mark.parametrize(
    "zone", ["", "Mars/Olympus", "Factory", "localtime", "europe/berlin", "../UTC", "UTC\x00", "x" * 999]
)
async def test_what_is_no_zone_is_refused(database: Database, owner: Actor, zone: str) -> None:
    with pytest.raises(Invalid) as refused:
        await choose(database, owner, zone)
    assert refused.value.path == ("timeZone",)
    assert len(str(refused.value)) < 120


async def test_only_who_may_change_the_account_chooses(database: Database, viewer: Actor) -> None:
    with pytest.raises(Forbidden):
        await choose(database, viewer, "Asia/Tokyo")
    with pytest.raises(Unauthenticated):
        async with database.transaction() as tx:
            await plans.set_time_zone(tx, ANONYMOUS, "Asia/Tokyo")


async def test_accounts_do_not_see_each_others_periods(database: Database, owner: Actor, stranger: Actor) -> None:
    await choose(database, owner, "Asia/Tokyo")
    async with database.transaction(actor=stranger) as tx:
        assert await stored(tx, owner) == []


async def test_every_zone_after_the_other_a_month_each(database: Database, owner: Actor) -> None:
    """Forty years of changes: each instant is in exactly one period, for whoever stores them and whoever reads."""
    order = [*list_time_zones()]
    Random(13).shuffle(order)  # noqa: S311 the same order each time
    now = datetime(2026, 6, 10, tzinfo=UTC)
    seen: list[AccountPeriod] = []
    async with database.transaction(actor=owner) as tx:
        for zone in order[:60]:
            tx.now = now
            chosen = await plans.set_time_zone(tx, owner, zone)
            assert chosen.following.time_zone == zone
            assert chosen.account.time_zone == chosen.current.time_zone
            seen.append(chosen.current)
            now = chosen.current.end + INSIDE
        assert await stored(tx, owner) == [*seen, chosen.following]
    periods = await read(database, owner)
    for period, following in pairwise([*seen, chosen.following]):
        assert period.end == following.start
        assert periods.at(period.start) == periods.at(period.end - MICROSECOND) == periods.named(period.name) == period


async def test_an_account_that_was_away_has_all_periods_since(database: Database, owner: Actor) -> None:
    chosen = await choose(database, owner, "America/Havana")
    later = chosen.following
    for _ in range(5):
        later = next_period(later, "America/Havana")
    await choose(database, owner, "Pacific/Apia", later.start + INSIDE)
    async with database.transaction(actor=owner) as tx:
        found = await stored(tx, owner)
        account = await accounts.get_account(tx, owner.account_id)
    assert [period.end for period in found[:-1]] == [period.start for period in found[1:]]
    assert (len(found), found[-2], found[-1]) == (8, later, next_period(later, "Pacific/Apia"))
    assert (account.time_zone, account.next_time_zone) == ("America/Havana", "Pacific/Apia")


async def test_a_period_that_has_just_ended_is_not_moved(database: Database, owner: Actor) -> None:
    """Whoever chose at the last instant comes after somebody who has stored what follows."""
    first = await choose(database, owner, "UTC")
    async with database.transaction(actor=owner) as tx:
        tx.now = first.current.end
        await plans.store_periods(tx, [await accounts.lock_account(tx, owner.account_id)])
    before = await read(database, owner)
    with pytest.raises(Conflict, match="just ended"):
        await choose(database, owner, "Asia/Tokyo", first.current.end - MICROSECOND)
    assert await read(database, owner) == before


async def test_several_store_and_choose_at_once(database: Database, owner: Actor) -> None:
    """Two processes at the turn of a period, and people who choose: in the end it is one row a month, without a gap."""
    first = await choose(database, owner, "UTC")
    turn = first.current.end

    async def store(at: datetime) -> None:
        async with database.transaction() as tx:
            tx.now = at
            await plans.store_periods(tx, await accounts.lock_accounts(tx, [owner.account_id]))

    async def try_to_choose(zone: str, at: datetime) -> bool:
        try:
            await choose(database, owner, zone, at)
        except Conflict:
            return False
        return True

    for _ in range(4):
        work = [
            *(store(turn + number * MICROSECOND) for number in range(3)),
            *(try_to_choose(zone, turn - MICROSECOND) for zone in ("Asia/Tokyo", "Europe/Berlin")),
            *(try_to_choose(zone, turn + MICROSECOND) for zone in ("America/Lima", "Asia/Kolkata")),
        ]
        await asyncio.gather(*work)
        async with database.transaction(actor=owner) as tx:
            found = await stored(tx, owner)
            account = await accounts.get_account(tx, owner.account_id)
        assert [period.end for period in found[:-1]] == [period.start for period in found[1:]]
        assert found == sorted(found, key=lambda period: period.start)
        assert (found[-1].start, found[-2].time_zone) == (found[-2].end, account.time_zone)
        assert found[-1].time_zone == (account.next_time_zone or account.time_zone)
        turn = found[-1].start


async def test_an_account_of_an_old_process_gets_its_periods_from_billing(database: Database, owner: Actor) -> None:
    derived = await read(database, owner)
    async with database.transaction() as tx:
        opened = (await accounts.get_account(tx, owner.account_id)).created_at
        await billing.register_accounts(tx, _before(owner.account_id), most=1)
        current = first_period(opened, "UTC")
        assert await stored(tx, owner) == [current, next_period(current, "UTC")]
    assert (await read(database, owner)).around(opened) == derived.around(opened)


async def test_policies_and_invoices_have_the_same_periods(database: Database, owner: Actor) -> None:
    """The quota follows the stored ends, whichever account is asked for with it."""
    chosen = await choose(database, owner, "Pacific/Kiritimati")
    moments: Sequence[datetime] = (chosen.current.start, chosen.following.start, chosen.following.end - MICROSECOND)
    async with database.transaction(actor=owner) as tx:
        account = await accounts.get_account(tx, owner.account_id)
        for moment in moments:
            tx.now = moment
            near = await plans.load_periods_near(tx, account)
            (current,) = [period for period in near if period.start <= moment < period.end]
            assert current == await plans.load_period_at(tx, account, moment)
            assert current == await plans.load_period_named(tx, account, current.name)


def _before(account_id: str) -> str:
    return account_id[:-1] + chr(ord(account_id[-1]) - 1) + "~"
