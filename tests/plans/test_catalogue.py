"""Plans and their versions: what is refused, what a new version leaves alone, who may choose what."""

import asyncio
from contextlib import suppress
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from portal import audit, billing, plans
from portal.core.actor import SYSTEM, Actor
from portal.core.database import Database
from portal.core.errors import Conflict, Forbidden, Invalid, NotFound
from portal.core.ids import new_id
from portal.plans.catalogue.plan_document import parse_plan

LIMIT = {"name": "burst", "amount": 5, "window_ms": 1000}
TARIFF = {"currency": "EUR", "charges": [{"code": "calls", "model": "per_unit", "unit": "0.01"}]}


def document(**fields: Any) -> dict[str, Any]:
    slug = new_id("p").lower().replace("_", "-")
    return {"slug": slug, "name": "Team", "price": "9.50", "monthly_quota": 100, "limits": [LIMIT]} | fields


async def new_plan(database: Database, **fields: Any) -> plans.Plan:
    async with database.transaction() as tx:
        return await plans.create_plan(tx, SYSTEM, document(**fields))


async def change(database: Database, plan: plans.Plan, **changes: Any) -> plans.Plan:
    async with database.transaction() as tx:
        return await plans.add_plan_version(tx, SYSTEM, plan.slug, changes)


async def account_plan(database: Database, actor: Actor) -> plans.Plan:
    async with database.transaction(actor=actor) as tx:
        return (await plans.get_account_plan(tx, actor.account_id)).plan


async def subscribe(database: Database, actor: Actor, plan: plans.Plan) -> None:
    async with database.transaction(actor=actor) as tx:
        await plans.subscribe(tx, actor, plan.id)


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"slug": None}, "slug"),
    ({"slug": "Pro"}, "slug"),
    ({"slug": "-pro"}, "slug"),
    ({"slug": "p" * 51}, "slug"),
    ({"slug": "plan_1"}, "slug"),
    ({"name": None}, "name"),
    ({"name": " "}, "name"),
    ({"name": "x" * 101}, "name"),
    ({"name": "a\u202eb"}, "name"),
    ({"description": 5}, "description"),
    ({"description": "x" * 501}, "description"),
    ({"price": -1}, "price"),
    ({"price": "-0.01"}, "price"),
    ({"price": 1.5}, "price"),
    ({"price": True}, "price"),
    ({"price": "NaN"}, "price"),
    ({"price": "Infinity"}, "price"),
    ({"price": "1e400"}, "price"),
    ({"price": "1e12"}, "price"),
    ({"price": "0.001"}, "price"),
    ({"price": "1.5", "currency": "JPY"}, "price"),
    ({"price": "ten"}, "price"),
    ({"currency": "ZZZ"}, "currency"),
    ({"currency": 978}, "currency"),
    ({"rank": 0}, "rank"),
    ({"rank": 1.0}, "rank"),
    ({"rank": True}, "rank"),
    ({"visibility": "secret"}, "visibility"),
    ({"visibility": ["public"]}, "visibility"),
    ({"monthly_quota": -1}, "monthly_quota"),
    ({"monthly_quota": "100"}, "monthly_quota"),
    ({"monthly_quota": 10**16}, "monthly_quota"),
    ({"is_overage_allowed": "no"}, "is_overage_allowed"),
    ({"is_overage_allowed": 0}, "is_overage_allowed"),
    ({"failure_policy": "maybe"}, "failure_policy"),
    ({"tariff": [1]}, "tariff.currency"),
    ({"tariff": TARIFF | {"currency": "USD"}}, "tariff.currency"),
    ({"limits": {}}, "limits"),
    ({"limits": [LIMIT] * 21}, "limits"),
    ({"limits": ["burst"]}, "limits.0"),
    ({"limits": [LIMIT, LIMIT]}, "limits.1.name"),
    ({"limits": [LIMIT | {"name": "own-x"}]}, "limits.0.name"),
    ({"limits": [LIMIT | {"name": "month"}]}, "limits.0.name"),
    ({"limits": [LIMIT | {"name": ""}]}, "limits.0.name"),
    ({"limits": [LIMIT | {"amount": 0}]}, "limits.0.amount"),
    ({"limits": [LIMIT | {"amount": 10**9 + 1}]}, "limits.0.amount"),
    ({"limits": [LIMIT | {"window_ms": 99}]}, "limits.0.window_ms"),
    ({"limits": [LIMIT | {"window_ms": None}]}, "limits.0.window_ms"),
    ({"limits": [LIMIT | {"algorithm": "fixed"}]}, "limits.0.algorithm"),
    ({"limits": [LIMIT | {"per": "person"}]}, "limits.0.per"),
    ({"limits": [LIMIT | {"burst": 5}]}, "limits.0.burst"),
    ({"limits": [LIMIT | {"algorithm": "token_bucket", "burst": 0}]}, "limits.0.burst"),
    ({"limits": [LIMIT | {"resource": "a*b"}]}, "limits.0.resource"),
    ({"limits": [LIMIT | {"resource": ""}]}, "limits.0.resource"),
    ({"limits": [LIMIT | {"ammount": 5}]}, "limits.0.ammount"),
    ({"prize": "9"}, "prize"),
]


@pytest.mark.parametrize(("fields", "path"), REFUSED, ids=[f"{path}-{n}" for n, (_, path) in enumerate(REFUSED)])
def test_a_document_with_a_mistake_is_refused_with_its_place(fields: dict[str, Any], path: str) -> None:
    with pytest.raises(Invalid) as refused:
        parse_plan(document(**fields))
    assert ".".join(refused.value.path) == path
    assert refused.value.message.endswith(".")


async def test_a_plan_is_what_its_document_says_and_says_it_again(database: Database) -> None:
    bucket = {"name": "b", "algorithm": "token_bucket", "amount": 1, "window_ms": 100, "per": "account", "burst": 3}
    fields = document(
        description="For teams.",
        currency="JPY",
        price="500",
        visibility="approval",
        is_overage_allowed=True,
        failure_policy="local",
        limits=[bucket, LIMIT | {"algorithm": "sliding_window", "per": "key", "resource": "GET /v1/*"}],
        tariff=TARIFF | {"currency": "JPY"},
    )
    async with database.transaction() as tx:
        created = await plans.create_plan(tx, SYSTEM, fields)
        assert created.rank is not None
        assert created.version == 1
    async with database.transaction() as tx:
        found = await plans.get_plan_called(tx, created.id)
        assert plans.plan_document(found) == fields | {"rank": found.rank}
        (only,) = await plans.list_versions(tx, found.id)
        assert (only.version, only.price, only.tariff) == (1, Decimal(500), fields["tariff"])


async def test_a_new_version_is_for_who_chooses_the_plan_afterwards(
    database: Database, owner: Actor, stranger: Actor
) -> None:
    plan = await new_plan(database)
    await subscribe(database, owner, plan)
    second = await change(database, plan, price="19", monthly_quota=7, limits=[], failure_policy="closed", name="Crew")
    assert second.version == 2
    await subscribe(database, stranger, plan)
    first = await account_plan(database, owner)
    assert (first.version, first.price, first.monthly_quota, first.name) == (1, Decimal("9.5"), 100, "Team")
    newest = await account_plan(database, stranger)
    assert (newest.version, newest.price, newest.monthly_quota, newest.name) == (2, Decimal(19), 7, "Crew")
    async with database.transaction(actor=owner) as tx:
        entitlement = await plans.entitlement_of(tx, owner.account_id)
        assert (entitlement.quota, len(entitlement.limits), entitlement.failure_policy) == (100, 1, "open")


async def test_a_tariff_prices_nobody_who_is_on_the_plan(database: Database, owner: Actor) -> None:
    plan = await new_plan(database, tariff=TARIFF)
    await subscribe(database, owner, plan)
    async with database.transaction() as tx:
        dear = billing.tariff_document(
            billing.parse_tariff(TARIFF | {"charges": [{"code": "c", "model": "flat", "price": "500"}]})
        )
        assert (await plans.set_tariff(tx, SYSTEM, plan.slug, dear)).version == 2
        assert (await plans.set_tariff(tx, SYSTEM, plan.slug, dear)).version == 2, "the same again is no version"
        draft = await billing.draft_invoice(tx, owner.account_id)
    assert max(line.amount for line in draft.lines) < 500
    assert (await account_plan(database, owner)).tariff == TARIFF


async def test_an_account_that_never_chose_keeps_the_version_of_the_default_plan_that_it_was_opened_on(
    database: Database, owner: Actor, make_account: Any
) -> None:
    free = await account_plan(database, owner)
    try:
        second = await change(database, free, monthly_quota=20_000)
        assert (await account_plan(database, owner)).monthly_quota == 10_000
        newcomer = await account_plan(database, await make_account())
        assert (newcomer.version, newcomer.monthly_quota) == (second.version, 20_000)
    finally:
        await change(database, free, monthly_quota=10_000)


async def test_what_changes_nothing_makes_no_version_and_rank_and_visibility_make_none(database: Database) -> None:
    plan = await new_plan(database)
    assert (await change(database, plan, price="9.50", limits=[LIMIT])).version == 1
    changed = await change(database, plan, rank=900_000, visibility="staff")
    assert (changed.version, changed.rank, changed.visibility) == (1, 900_000, "staff")
    other = await new_plan(database, rank=899_999)
    with pytest.raises(Conflict, match="has the rank 900000"):
        await change(database, other, rank=900_000)
    with pytest.raises(Conflict, match="has the rank 900000"):
        await new_plan(database, rank=900_000)
    for fields in ({"rank": 800_000 + n} for n in range(2)):
        await change(database, other, **fields)
    await change(database, plan, rank=700_000)
    with pytest.raises(Invalid, match="keeps its currency"):
        await change(database, plan, currency="USD")
    with pytest.raises(Invalid, match="keeps its slug"):
        await change(database, plan, slug="other")


async def test_versions_that_are_made_at_once_follow_one_another(database: Database) -> None:
    plan = await new_plan(database)
    made = await asyncio.gather(*[change(database, plan, price=str(price)) for price in range(10, 15)])
    assert sorted(each.version for each in made) == [2, 3, 4, 5, 6]
    async with database.transaction() as tx:
        assert [row.version for row in await plans.list_versions(tx, plan.id)] == [6, 5, 4, 3, 2, 1]
        newest = await plans.get_plan(tx, plan.id)
        assert newest.price == (await plans.list_versions(tx, plan.id))[0].price


async def test_of_two_plans_of_one_slug_at_once_one_is_made(database: Database) -> None:
    fields = document()

    async def create() -> str:
        try:
            async with database.transaction() as tx:
                return (await plans.create_plan(tx, SYSTEM, fields)).id
        except Conflict:
            return "refused"

    made = await asyncio.gather(*[create() for _ in range(4)])
    assert made.count("refused") == 3


async def test_who_may_choose_what(database: Database, owner: Actor) -> None:
    staff = replace(owner, is_staff=True)
    for visibility, refusal, message in (
        ("staff", NotFound, "no such plan"),
        ("approval", Conflict, "given by approval"),
    ):
        plan = await new_plan(database, visibility=visibility)
        async with database.transaction(actor=owner) as tx:
            with pytest.raises(refusal, match=message):
                await plans.subscribe(tx, owner, plan.id)
            assert plan.id not in {row.id for row in await plans.list_offered_plans(tx)}
            with pytest.raises(NotFound):
                await plans.get_visible_plan(tx, owner, plan.id)
        async with database.transaction(actor=staff) as tx:
            assert (await plans.get_visible_plan(tx, staff, plan.id)).id == plan.id
            await plans.subscribe(tx, staff, plan.id)
        async with database.transaction(actor=owner) as tx:
            assert (await plans.get_visible_plan(tx, owner, plan.id)).id == plan.id, "it is the account's own"


async def test_a_retired_plan_takes_nobody_and_keeps_those_it_has(
    database: Database, owner: Actor, stranger: Actor
) -> None:
    plan = await new_plan(database)
    await subscribe(database, owner, plan)
    for _ in range(2):
        async with database.transaction() as tx:
            retired = await plans.retire_plan(tx, SYSTEM, plan.slug)
            assert retired.retired_at is not None
    assert (await account_plan(database, owner)).id == plan.id
    with pytest.raises(Conflict, match="not sold any more"):
        await subscribe(database, stranger, plan)
    with pytest.raises(Conflict, match="retired"):
        await change(database, plan, price="1")
    async with database.transaction() as tx:
        with pytest.raises(Conflict, match="retired"):
            await plans.set_tariff(tx, SYSTEM, plan.slug, TARIFF)
        with pytest.raises(Conflict, match="new accounts start on"):
            await plans.retire_plan(tx, SYSTEM, "free")
        rows = await audit.list_newest(tx, "", audit.AuditFilter(action="plan.retire"), most=100)
        assert [row.subject for row in rows].count(plan.id) == 1


async def test_only_staff_change_the_catalogue(database: Database, owner: Actor) -> None:
    plan = await new_plan(database)
    async with database.transaction(actor=owner) as tx:
        for refused in (
            plans.create_plan(tx, owner, document()),
            plans.add_plan_version(tx, owner, plan.slug, {"price": "1"}),
            plans.retire_plan(tx, owner, plan.slug),
            plans.set_tariff(tx, owner, plan.slug, TARIFF),
        ):
            with pytest.raises(Forbidden):
                await refused
    for statement in (
        "UPDATE plans SET price = 0 WHERE id = :id",
        "UPDATE plan_versions SET price = 0 WHERE plan_id = :id",
        "INSERT INTO plan_versions SELECT * FROM plan_versions WHERE plan_id = :id",
        "INSERT INTO plans SELECT * FROM plans WHERE id = :id",
    ):
        async with database.transaction(actor=owner) as tx:
            # Nothing is found to change, or the statement is refused.
            with suppress(DBAPIError):
                result: Any = await tx.execute(text(statement), {"id": plan.id})
                assert result.rowcount == 0
    async with database.transaction() as tx:
        assert plans.plan_document(await plans.get_plan(tx, plan.id)) == plans.plan_document(plan)


async def test_nobody_changes_a_version(database: Database) -> None:
    plan = await new_plan(database)
    for statement in ("UPDATE plan_versions SET price = 0", "DELETE FROM plan_versions"):
        with pytest.raises(DBAPIError, match="permission denied"):
            async with database.transaction() as tx:
                await tx.execute(text(f"{statement} WHERE plan_id = :id"), {"id": plan.id})


async def test_what_an_older_version_writes_is_understood(database: Database, owner: Actor, stranger: Actor) -> None:
    """Its processes set a tariff in `plans` itself, and put accounts on plans without a number of a version."""
    plan = await new_plan(database)
    subscribed = """INSERT INTO subscriptions (account_id, plan_id, started_at) VALUES (:account, :plan, :at)
    ON CONFLICT (account_id) DO UPDATE SET plan_id = :plan, started_at = :at"""
    chosen = "INSERT INTO plan_choices (account_id, chosen_at, plan_id) VALUES (:account, :at, :plan)"

    async def choose(actor: Actor) -> None:
        async with database.transaction() as tx:
            for statement in (subscribed, chosen):
                await tx.execute(text(statement), {"account": actor.account_id, "plan": plan.id, "at": tx.now})

    await subscribe(database, owner, await new_plan(database))
    await choose(owner)
    async with database.transaction() as tx:
        await tx.execute(
            text("""UPDATE plans SET tariff = '{"currency": "EUR", "charges": []}' WHERE id = :id"""), {"id": plan.id}
        )
    await choose(stranger)
    first, second = await account_plan(database, owner), await account_plan(database, stranger)
    assert (first.id, first.version, first.tariff) == (plan.id, 1, {})
    assert (second.id, second.version, second.tariff) == (plan.id, 2, {"currency": "EUR", "charges": []})


async def test_the_audit_chain_of_the_catalogue_is_whole(database: Database) -> None:
    plan = await new_plan(database)
    await change(database, plan, price="11", visibility="staff")
    async with database.transaction() as tx:
        rows = await audit.list_newest(tx, "", audit.AuditFilter(action="plan"), most=3)
        assert [(row.action, row.details) for row in rows if row.subject == plan.id] == [
            ("plan.change", {"slug": plan.slug, "visibility": "staff"}),
            ("plan.add_version", {"slug": plan.slug, "version": 2, "changed": ["price"]}),
            ("plan.create", {"slug": plan.slug}),
        ]
        assert await audit.verify_chain(tx, "") is None
