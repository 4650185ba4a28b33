"""Changes of plan over time, as stored: up at once, down with the next period, undone, withdrawn, moved by staff."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from random import Random
from typing import Any

import pytest
from sqlalchemy import text

from portal import accounts, audit, plans
from portal.core.actor import SYSTEM, Actor, Role
from portal.core.database import Database, Tx
from portal.core.errors import Conflict, Forbidden
from portal.core.ids import AccountId, new_id
from portal.plans import ChangeKind, PeriodHistory, Used
from tests.plans.old_process import choose_as_old_process

OPENED = datetime.fromisoformat("2026-05-20T08:00:00+00:00")
MIDNIGHT = datetime.fromisoformat("2026-06-30T22:00:00+00:00")
"""The end of June in Berlin."""
HOUR, DAY, MOMENT = timedelta(hours=1), timedelta(days=1), timedelta(microseconds=1)
JUNE = plans.month_period("2026-06", "Europe/Berlin")
JULY = plans.month_period("2026-07", "Europe/Berlin")


class Choosing:
    """An account of Berlin, opened in May, that chooses at instants of its own."""

    def __init__(self, database: Database, account_id: str, ids: dict[str, str]) -> None:
        self.database, self.account_id, self.ids = database, account_id, ids
        self.actor = Actor("person", new_id("usr"), AccountId(account_id), role=Role.OWNER)

    @asynccontextmanager
    async def at(self, now: datetime) -> AsyncIterator[Tx]:
        async with self.database.transaction() as tx:
            tx.now = now
            yield tx

    async def choose(self, slug: str, now: datetime, used: int = 0) -> plans.AccountPlan:
        async with self.at(now) as tx:
            return await plans.subscribe(tx, self.actor, self.ids[slug], used=Used(used, 0))

    async def undo(self, now: datetime, used: int = 0) -> tuple[plans.AccountPlan, plans.UndoDecision]:
        async with self.at(now) as tx:
            return await plans.undo_plan_upgrade(tx, self.actor, used=Used(used, 0))

    async def withdraw(self, now: datetime) -> plans.AccountPlan:
        async with self.at(now) as tx:
            return await plans.withdraw_plan_change(tx, self.actor)

    async def move(self, slug: str, now: datetime) -> plans.AccountPlan:
        async with self.at(now) as tx:
            return await plans.move_account(tx, replace(self.actor, role=None, is_staff=True), self.ids[slug])

    async def old_process(self, slug: str, now: datetime) -> None:
        """Choose as a process of the version before: at once, and without the columns that came since."""
        async with self.at(now) as tx:
            await choose_as_old_process(tx, self.account_id, self.ids[slug], now)

    async def plan(self, now: datetime) -> tuple[str, str | None, datetime | None]:
        """The plan at an instant, the one that waits then, and since when it is the plan."""
        async with self.at(now) as tx:
            found = await plans.get_account_plan(tx, self.account_id)
            entitled = await plans.entitlement_of(tx, self.account_id)
        assert entitled.plan_id == found.plan.id
        return found.plan.slug, None if found.pending is None else found.pending.plan.slug, found.started_at

    async def history(self, period: plans.AccountPeriod) -> PeriodHistory:
        async with self.at(period.end) as tx:
            return await plans.load_history(tx, self.account_id, period)

    async def kinds(self, period: plans.AccountPeriod = JUNE) -> list[str]:
        return [change.kind.value for change in (await self.history(period)).changes]


@pytest.fixture
async def choosing(database: Database) -> Choosing:
    account_id = new_id("acct")
    async with database.transaction() as tx:
        statement = "INSERT INTO accounts (id, name, time_zone, created_at) VALUES (:id, 'Acme', 'Europe/Berlin', :at)"
        await tx.execute(text(statement), {"id": account_id, "at": OPENED})
        ids = {plan.slug: plan.id for plan in await plans.list_plans(tx)}
    return Choosing(database, account_id, ids)


def june(day: int, hour: int = 12) -> datetime:
    return JUNE.start_of(day - 1) + hour * HOUR


@pytest.mark.fast
async def test_up_at_once_and_down_with_the_next_period(choosing: Choosing) -> None:
    await choosing.choose("pro", june(3))
    assert await choosing.plan(june(3)) == ("pro", None, june(3))
    chosen = await choosing.choose("free", june(10))
    assert chosen.plan.slug == "pro"
    assert chosen.pending is not None
    assert (chosen.pending.plan.slug, chosen.pending.starts_at) == ("free", MIDNIGHT)
    assert await choosing.plan(MIDNIGHT - MOMENT) == ("pro", "free", june(3))
    assert await choosing.plan(MIDNIGHT) == ("free", None, MIDNIGHT)
    assert await choosing.kinds() == ["upgrade", "downgrade"]
    following = await choosing.history(JULY)
    assert following.start_terms is not None
    assert (following.start_terms.name, following.changes) == ("Free", ())


async def test_what_waits_is_replaced_withdrawn_and_dropped_by_an_upgrade(choosing: Choosing) -> None:
    await choosing.choose("enterprise", june(2))
    await choosing.choose("free", june(5))
    await choosing.choose("pro", june(6))
    assert await choosing.plan(june(7)) == ("enterprise", "pro", june(2))
    await choosing.choose("pro", june(7))  # again: nothing
    await choosing.choose("enterprise", june(8))  # the present plan withdraws
    assert await choosing.plan(june(9)) == ("enterprise", None, june(2))
    await choosing.withdraw(june(9))  # nothing is pending: nothing
    assert await choosing.kinds() == ["upgrade", "downgrade", "downgrade", "withdrawal"]
    await choosing.choose("pro", june(20))
    await choosing.withdraw(june(21))
    assert await choosing.plan(MIDNIGHT) == ("enterprise", None, june(2))


async def test_an_upgrade_drops_what_waits_and_its_undo_brings_it_back(choosing: Choosing) -> None:
    await choosing.choose("pro", june(2))
    await choosing.choose("free", june(5))
    await choosing.choose("enterprise", june(6))
    assert await choosing.plan(june(6)) == ("enterprise", None, june(6))
    restored, decision = await choosing.undo(june(6, 20))
    assert not decision.is_downgrade
    assert (restored.plan.slug, restored.started_at) == ("pro", june(2))
    assert await choosing.plan(june(7)) == ("pro", "free", june(2))
    assert await choosing.plan(MIDNIGHT) == ("free", None, MIDNIGHT)
    assert [holding.terms.name for holding in (await choosing.history(JUNE)).state.holdings] == ["Free", "Pro"]


async def test_an_undo_to_the_default_plan_was_never_chosen(choosing: Choosing) -> None:
    await choosing.choose("pro", june(2))
    await choosing.undo(june(2, 23), used=9_999)
    assert await choosing.plan(june(3)) == ("free", None, None)


async def test_an_undo_that_does_not_fit_or_comes_twice_waits_for_the_next_period(choosing: Choosing) -> None:
    await choosing.choose("pro", june(2))
    _, decision = await choosing.undo(june(2, 13), used=10_001)
    assert (decision.is_downgrade, decision.is_undo_used) == (True, False)
    assert await choosing.plan(june(3)) == ("pro", "free", june(2))
    with pytest.raises(Conflict, match="no upgrade of today"):
        await choosing.undo(june(3))


async def test_the_second_undo_of_a_period_is_a_downgrade(choosing: Choosing) -> None:
    await choosing.choose("pro", june(2))
    await choosing.undo(june(2, 13))
    await choosing.choose("enterprise", june(4))
    _, decision = await choosing.undo(june(4, 13))
    assert (decision.is_downgrade, decision.is_undo_used) == (True, True)
    assert await choosing.plan(june(5)) == ("enterprise", "free", june(4))


@pytest.mark.parametrize("hours", [0, 23, 24])
async def test_the_local_day_decides_what_can_be_undone(choosing: Choosing, hours: int) -> None:
    begins = JUNE.start_of(9)
    await choosing.choose("pro", begins)
    undo = choosing.undo(begins + hours * HOUR + MOMENT)
    if hours < 24:
        assert (await undo)[0].plan.slug == "free"
    else:
        with pytest.raises(Conflict):
            await undo


async def test_a_choice_at_the_very_end_belongs_to_the_next_period(choosing: Choosing) -> None:
    await choosing.choose("pro", june(2))
    await choosing.choose("free", MIDNIGHT - MOMENT)
    assert await choosing.plan(MIDNIGHT) == ("free", None, MIDNIGHT)
    await choosing.choose("pro", MIDNIGHT)
    assert (await choosing.plan(MIDNIGHT + HOUR))[0] == "pro"
    chosen = await choosing.choose("free", MIDNIGHT + DAY)
    assert chosen.pending is not None
    assert chosen.pending.starts_at == JULY.end


async def test_staff_move_at_once_but_give_back_nothing_that_is_invoiced(choosing: Choosing) -> None:
    await choosing.choose("pro", june(2))
    assert (await choosing.move("enterprise", june(3))).plan.slug == "enterprise"
    with pytest.raises(Conflict, match="no upgrade of today"):
        await choosing.undo(june(3, 13))
    await choosing.choose("pro", june(4))
    assert await choosing.plan(june(4)) == ("enterprise", "pro", june(3))
    assert (await choosing.move("free", june(5))).plan.slug == "free"  # not invoiced yet
    assert await choosing.plan(MIDNIGHT) == ("free", None, june(5))
    await choosing.choose("pro", june(6))
    with pytest.raises(Conflict, match="paid until the end"):
        await choosing.move("free", MIDNIGHT + DAY)
    with pytest.raises(Forbidden):
        async with choosing.at(june(6)) as tx:
            await plans.move_account(tx, choosing.actor, choosing.ids["pro"])
    assert await choosing.kinds() == ["upgrade", "move_up", "downgrade", "move_down", "upgrade"]


async def test_what_an_old_process_chooses_holds_at_once_and_drops_what_waits(choosing: Choosing) -> None:
    await choosing.choose("enterprise", june(2))
    await choosing.choose("free", june(3))
    await choosing.old_process("pro", june(4))
    assert await choosing.plan(june(5)) == ("pro", None, june(4))
    assert await choosing.plan(MIDNIGHT) == ("pro", None, june(4))
    await choosing.old_process("enterprise", june(6))
    assert await choosing.kinds() == ["upgrade", "downgrade", "move_down", "move_up"]
    with pytest.raises(Conflict, match="no upgrade of today"):
        await choosing.undo(june(6, 13))


async def test_an_old_process_reads_what_new_ones_write(choosing: Choosing) -> None:
    """It reads the newest row's plan as that of now: it may miss the beginning of what waits, and nothing else."""
    await choosing.choose("enterprise", june(2))
    await choosing.choose("pro", june(3))
    await choosing.withdraw(june(4))
    await choosing.choose("free", june(5))
    async with choosing.at(june(6)) as tx:
        rows = await tx.execute(
            text("SELECT plan_id FROM plan_choices WHERE account_id = :id ORDER BY chosen_at"),
            {"id": choosing.account_id},
        )
        assert {row.plan_id for row in rows} == {choosing.ids["enterprise"]}
        subscribed = text("SELECT plan_id, started_at FROM subscriptions WHERE account_id = :id")
        assert [*await tx.execute(subscribed, {"id": choosing.account_id})] == [(choosing.ids["enterprise"], june(2))]


async def test_an_undo_after_which_an_old_process_is_found_to_have_come_between_is_a_move(choosing: Choosing) -> None:
    """Neither saw the other: the history is whole all the same."""
    await choosing.choose("enterprise", june(2))
    await choosing.undo(june(2, 14))
    async with choosing.at(june(2)) as tx:
        row = "INSERT INTO plan_choices (account_id, chosen_at, plan_id) VALUES (:account, :at, :plan)"
        values = {"account": choosing.account_id, "at": june(2, 13), "plan": choosing.ids["pro"]}
        await tx.execute(text(row), values)
    assert await choosing.kinds() == ["upgrade", "move_down", "move_down"]
    assert (await choosing.plan(june(3)))[0] == "free"


async def test_of_many_at_once_each_sees_the_one_before(choosing: Choosing) -> None:
    slugs = ["pro", "enterprise", "free"] * 4
    await asyncio.gather(*[choosing.choose(slug, june(8)) for slug in slugs])
    history = await choosing.history(JUNE)
    assert len({change.at for change in history.changes}) == len(history.changes)
    assert history.state.terms.name in {"Pro", "Enterprise"}
    assert all(change.kind is not ChangeKind.MOVE_DOWN for change in history.changes)
    async with choosing.at(june(9)) as tx:
        assert await audit.verify_chain(tx, choosing.account_id) is None


@pytest.mark.parametrize("seed", range(12))
async def test_what_is_stored_is_what_was_decided(choosing: Choosing, seed: int) -> None:
    """Random choices over two months: after each, whatever is read says what the pure history says."""
    random, now = Random(seed), june(1)  # noqa: S311
    while now < JULY.end:
        now += timedelta(minutes=random.choice([1, 30, 600, 3000]))
        verb: Any = random.choice(["choose", "choose", "choose", "undo", "withdraw", "old"])
        slug = random.choice(["free", "pro", "enterprise"])
        try:
            if verb == "choose":
                await choosing.choose(slug, now, used=random.choice([0, 20_000]))
            elif verb == "undo":
                await choosing.undo(now, used=random.choice([0, 20_000]))
            elif verb == "withdraw":
                await choosing.withdraw(now)
            elif random.random() < 0.3:
                await choosing.old_process(slug, now)
        except Conflict:
            continue
        period = plans.first_period(now, "Europe/Berlin")
        state = (await choosing.history(period)).state
        waits = None if state.pending is None else state.pending.terms.name.lower()
        assert (await choosing.plan(now + MOMENT))[:2] == (state.terms.name.lower(), waits)
        assert (await choosing.plan(period.end))[0] == state.next_terms.name.lower()


async def test_a_version_that_is_not_sold_any_more_is_not_chosen(choosing: Choosing) -> None:
    async with choosing.at(june(1)) as tx:
        slug = f"p-{new_id('x')[-12:].lower()}".replace("_", "-")
        plan = await plans.create_plan(tx, SYSTEM, {"slug": slug, "name": "Two", "monthly_quota": 5})
        await plans.add_plan_version(tx, SYSTEM, slug, {"monthly_quota": 6})
    async with choosing.at(june(2)) as tx:
        with pytest.raises(Conflict, match="another version"):
            await plans.subscribe(tx, choosing.actor, plan.id, 1)
        chosen = await plans.subscribe(tx, choosing.actor, plan.id, 2)
        assert chosen.plan.monthly_quota == 6
    async with choosing.at(june(3)) as tx:
        await plans.add_plan_version(tx, SYSTEM, slug, {"monthly_quota": 7})
        same = await plans.subscribe(tx, choosing.actor, plan.id)
        assert (same.plan.version, same.pending) == (2, None)
        newer = await plans.subscribe(tx, choosing.actor, plan.id, 3)
        assert newer.pending is not None
        assert (newer.plan.version, newer.pending.plan.version, newer.pending.starts_at) == (2, 3, MIDNIGHT)
        await plans.retire_plan(tx, SYSTEM, slug)
        await plans.withdraw_plan_change(tx, choosing.actor)
        assert (await plans.subscribe(tx, choosing.actor, plan.id)).plan.version == 2


async def test_a_choice_tells_checks_of_it(choosing: Choosing) -> None:
    async with choosing.at(june(2)) as tx:
        await plans.subscribe(tx, choosing.actor, choosing.ids["pro"])
        await plans.subscribe(tx, choosing.actor, choosing.ids["free"])
        await plans.withdraw_plan_change(tx, choosing.actor)
        await plans.undo_plan_upgrade(tx, choosing.actor)
        assert [type(event) for event in tx.events] == [accounts.PolicyChanged] * 4
        rows = await audit.list_newest(tx, choosing.account_id, audit.AuditFilter(), most=4)
        assert [(row.action, row.details["plan"]) for row in reversed(rows)] == [
            ("plan.subscribe", "pro"),
            ("plan.schedule", "free"),
            ("plan.withdraw_change", "pro"),
            ("plan.undo_upgrade", "free"),
        ]
