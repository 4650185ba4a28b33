"""Choosing a plan: once, again, two at once, and by whom."""

import asyncio
from datetime import timedelta

import pytest

from portal import audit, plans
from portal.accounts import PolicyChanged
from portal.core.actor import ANONYMOUS, SYSTEM, Actor
from portal.core.database import Database
from portal.core.errors import Conflict, Forbidden, NotFound, Unauthenticated
from portal.core.ids import new_id


async def catalogue(database: Database) -> dict[str, str]:
    async with database.transaction() as tx:
        return {plan.slug: plan.id for plan in await plans.list_plans(tx)}


@pytest.mark.fast
async def test_a_plan_is_chosen_and_shown(database: Database, owner: Actor) -> None:
    known = await catalogue(database)
    for slug in ("pro", "enterprise"):
        async with database.transaction(actor=owner) as tx:
            chosen = await plans.subscribe(tx, owner, known[slug])
            assert (chosen.plan.id, chosen.started_at) == (known[slug], tx.now)
            assert [type(event) for event in tx.events] == [PolicyChanged]
            (row,) = await audit.list_newest(tx, owner.account_id, audit.AuditFilter(), most=1)
            assert (row.action, row.details) == ("plan.subscribe", {"plan": slug, "version": 1})
    async with database.transaction(actor=owner) as tx:
        await plans.subscribe(tx, owner, known["enterprise"])
        assert tx.events == []


async def test_two_who_choose_at_once_both_succeed(database: Database, owner: Actor) -> None:
    known = await catalogue(database)

    async def choose(slug: str) -> None:
        async with database.transaction(actor=owner) as tx:
            await plans.subscribe(tx, owner, known[slug])

    await asyncio.gather(*[choose(slug) for slug in ("pro", "enterprise", "pro", "enterprise")])
    async with database.transaction(actor=owner) as tx:
        entitlement = await plans.entitlement_of(tx, owner.account_id)
        assert entitlement.plan_id in (known["pro"], known["enterprise"])
        assert await audit.verify_chain(tx, owner.account_id) is None


async def test_a_plan_in_another_currency_is_refused(database: Database, owner: Actor) -> None:
    async with database.transaction() as tx:
        document = {"slug": new_id("p").lower().replace("_", "-"), "name": "Dollars", "currency": "USD"}
        plan = await plans.create_plan(tx, SYSTEM, document)
        with pytest.raises(Conflict, match="billed in EUR"):
            await plans.subscribe(tx, owner, plan.id)


async def test_two_choices_in_one_transaction_leave_the_later_one(database: Database, owner: Actor) -> None:
    known = await catalogue(database)
    async with database.transaction(actor=owner) as tx:
        await plans.subscribe(tx, owner, known["pro"])
        await plans.subscribe(tx, owner, known["enterprise"])
    async with database.transaction(actor=owner) as tx:
        kept = await plans.list_choices(tx, owner.account_id)
        assert [row.plan_id for row in kept] == [known["pro"], known["enterprise"]]
        assert (await plans.entitlement_of(tx, owner.account_id)).plan_id == known["enterprise"]


async def test_every_choice_is_kept_in_its_order_whatever_the_clock_does(database: Database, owner: Actor) -> None:
    known = await catalogue(database)
    for slug in ("pro", "free", "enterprise"):
        async with database.transaction(actor=owner) as tx:
            tx.now -= timedelta(hours=len(slug))
            await plans.subscribe(tx, owner, known[slug])
    async with database.transaction(actor=owner) as tx:
        kept = await plans.list_choices(tx, owner.account_id)
        chosen = [row.next_plan_id or row.plan_id for row in kept]
        assert chosen == [known["pro"], known["free"], known["enterprise"]]


async def test_who_may_not_and_what_is_not(database: Database, owner: Actor, viewer: Actor) -> None:
    known = await catalogue(database)
    async with database.transaction(actor=owner) as tx:
        with pytest.raises(NotFound):
            await plans.subscribe(tx, owner, "plan_none")
        with pytest.raises(Forbidden):
            await plans.subscribe(tx, viewer, known["pro"])
        with pytest.raises(Unauthenticated):
            await plans.subscribe(tx, ANONYMOUS, known["pro"])
