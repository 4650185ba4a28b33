"""What accounts choose through the verbs is billed: an undone upgrade never, what waits from its instant on."""

from collections.abc import Awaitable
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random

import pytest

from portal import billing, plans
from portal.core.actor import SYSTEM, Actor
from portal.core.database import Database
from portal.core.errors import Conflict
from portal.core.ids import AccountId
from portal.plans import Used
from tests.billing.account import finalize_all, lines, month, name, new_account, use

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


class Chooser:
    """An account that chooses through the verbs, at instants that are over."""

    def __init__(self, database: Database, account_id: str) -> None:
        self.database, self.account_id = database, account_id
        self.actor = Actor("system", SYSTEM.id, AccountId(account_id))

    async def choose(self, slug: str, at: datetime) -> None:
        async with self.database.transaction() as tx:
            plan = await plans.get_plan_called(tx, slug)
            tx.now = at
            await plans.subscribe(tx, self.actor, plan.id)

    async def undo(self, at: datetime, used: int = 0) -> None:
        async with self.database.transaction() as tx:
            tx.now = at
            await plans.undo_plan_upgrade(tx, self.actor, used=Used(used, used))

    async def withdraw(self, at: datetime) -> None:
        async with self.database.transaction() as tx:
            tx.now = at
            await plans.withdraw_plan_change(tx, self.actor)

    async def billed(self) -> list[tuple[str, str, str]]:
        """Kind, period and amount of the newest of the invoices that are due."""
        done = await finalize_all(self.database, self.account_id)
        found = await lines(self.database, self.account_id, done[-1].invoice)
        return [(kind, period, amount) for kind, period, _, amount in found]


@pytest.mark.fast
async def test_an_upgrade_that_was_undone_costs_nothing(own: Database) -> None:
    account = Chooser(own, await new_account(own, opened=month(1)))
    await account.choose("enterprise", month(1) + 3 * DAY)
    await account.undo(month(1) + 3 * DAY + HOUR)
    assert [done.invoice for done in await finalize_all(own, account.account_id)] == [None]


async def test_what_waits_leaves_the_month_whole_and_begins_with_the_next(own: Database) -> None:
    account = Chooser(own, await new_account(own, opened=month(2)))
    await account.choose("enterprise", month(2))
    await account.choose("pro", month(2) + 3 * DAY)
    await use(own, account.account_id, month(1) - HOUR, 1, cost=50_000_000)  # included in Enterprise
    await use(own, account.account_id, month(1) + HOUR, 1, cost=1_000_000)  # included in Pro
    first, second = await finalize_all(own, account.account_id)
    assert [line[::3] for line in await lines(own, account.account_id, first.invoice)] == [
        ("fee", "990.00"),
        ("fee", "49.00"),
        ("usage", "0.00"),
    ]
    assert [line[::3] for line in await lines(own, account.account_id, second.invoice)] == [
        ("fee", "49.00"),
        ("usage", "0.00"),
    ]


async def test_what_is_withdrawn_is_never_billed(own: Database) -> None:
    account = Chooser(own, await new_account(own, opened=month(1)))
    await account.choose("enterprise", month(1))
    await account.choose("free", month(1) + 3 * DAY)
    await account.withdraw(month(1) + 4 * DAY)
    assert [amount for kind, _, amount in await account.billed() if kind == "fee"] == ["990.00", "990.00"]


@pytest.mark.parametrize("seed", range(12))
async def test_the_fees_of_a_month_are_those_that_the_preview_said(own: Database, seed: int) -> None:
    """To the cent a line: invoices still round by plan and stretch of days."""
    random = Random(seed)  # noqa: S311 the same choices each time
    account = Chooser(own, await new_account(own, opened=month(1)))
    now = month(1)
    while (now := now + timedelta(hours=random.choice([1, 10, 60, 200]))) < month(0) - HOUR:
        slug = random.choice(["free", "pro", "enterprise"])
        verbs: list[Awaitable[None]] = [account.choose(slug, now), account.undo(now), account.withdraw(now)]
        chosen = random.choice([0, 0, 0, 1, 2])
        for number, verb in enumerate(verbs):
            if number != chosen:
                verb.close()  # type: ignore[attr-defined]
        try:
            await verbs[chosen]
        except Conflict:
            continue
    async with own.transaction() as tx:
        period = plans.month_period(name(1), "UTC")
        history = await plans.load_history(tx, account.account_id, period)
        said = plans.fees_so_far(history) + plans.fee_ahead(history.next_terms)
    (done,) = await finalize_all(own, account.account_id)
    if done.invoice is None:
        assert said == 0
        return
    async with own.transaction() as tx:
        fees = [
            line.amount
            for line in await billing.list_lines(tx, account.account_id, [done.invoice.id])
            if line.kind == "fee"
        ]
    assert abs(sum(fees, Decimal(0)) - said) <= Decimal("0.01") * len(fees)
