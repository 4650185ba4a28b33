"""A place to break things in: services of its own, customers with plans made to measure, their keys and tokens."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from time import monotonic
from typing import Any

import httpx2
from sqlalchemy import DateTime, bindparam, text

from portal import accounts, billing, keys, plans
from portal.core.actor import SYSTEM, Actor, Role
from portal.core.embedded import EmbeddedServices
from portal.core.ids import AccountId, new_id
from portal.plans import Plan
from portal.runtime import Container
from portal.usage.records import occurred_at

PASSWORD = "correct horse battery"
INGEST_SECONDS = 30.0
IDS_BATCH_SIZE = 10_000
NOT_OVER = timedelta(days=-70)
"""A grace that lets this month and the next one be billed now."""
_STORED = text("""
SELECT request_id, cost FROM usage_events WHERE occurred_at BETWEEN :first AND :last AND request_id = ANY(:ids)
""").bindparams(*(bindparam(name, type_=DateTime(timezone=True)) for name in ("first", "last")))
_SUMS = text("""
SELECT (SELECT count(*) FROM usage_events WHERE account_id = :account),
    (SELECT coalesce(sum(cost), 0) FROM usage_events WHERE account_id = :account),
    (SELECT coalesce(sum(calls), 0) FROM usage_minutes WHERE account_id = :account),
    (SELECT coalesce(sum(units), 0) FROM usage_minutes WHERE account_id = :account),
    (SELECT coalesce(sum(calls), 0) FROM usage_quarters WHERE account_id = :account),
    (SELECT coalesce(sum(units), 0) FROM usage_quarters WHERE account_id = :account),
    (SELECT coalesce(sum(calls), 0) FROM usage_days WHERE account_id = :account),
    (SELECT coalesce(sum(units), 0) FROM usage_days WHERE account_id = :account),
    (SELECT coalesce(sum(cost), 0) FROM usage_events
        WHERE account_id = :account AND code = 'VALID' AND environment = 'live'),
    (SELECT coalesce(sum(used), 0) FROM usage_periods WHERE account_id = :account)
""")
_BILLED = text("""
SELECT coalesce(sum(units), 0) AS units, coalesce(sum(units) FILTER (WHERE kind = 'adjustment'), 0) AS late,
    (SELECT coalesce(sum(cost), 0) FROM usage_events
        WHERE account_id = :account AND code = 'VALID' AND environment = 'live') AS raw
FROM invoice_lines WHERE account_id = :account
""")


@dataclass(frozen=True)
class Customer:
    """An account on a plan of its own. `token` is the owner's personal one."""

    actor: Actor
    email: str
    token: str


@dataclass(frozen=True)
class Ledgers:
    """An account's usage in every place that adds it up."""

    calls: int
    units: int
    billable: int


@dataclass(frozen=True)
class Billed:
    """Units on an account's invoices, those of them that came late, and what the raw events add up to."""

    units: int
    late: int
    raw: int


@dataclass(frozen=True)
class Place:
    services: EmbeddedServices
    parts: Container
    service_token: str

    async def customer(self, *limits: tuple[int, int], **plan: Any) -> Customer:
        """`limits` are (amount, window_ms) per key; `plan` are fields of the plan's row."""
        email = f"{new_id('t').lower()}@example.com"
        async with self.parts.database.transaction() as tx:
            new = accounts.NewAccount(email, PASSWORD, "Ann", "Acme")
            person, account = await accounts.sign_up(tx, new)
            row = await tx.insert(_plan(limits, created_at=tx.now, **plan))
            await plans.subscribe(tx, Actor("system", SYSTEM.id, AccountId(account.id)), row.id)
            actor = Actor("person", person.id, AccountId(account.id), role=Role.OWNER)
            token = (await accounts.create_personal_token(tx, actor, "tests")).token
        return Customer(actor, email, token)

    async def make_keys(self, customer: Customer, count: int = 1) -> list[keys.CreatedKey]:
        made = []
        for _ in range(count):
            async with self.parts.database.transaction(customer.actor.account_id) as tx:
                made.append(await keys.create_key(tx, customer.actor, keys.NewKey(name="one")))
        return made

    async def make_key(self, customer: Customer) -> str:
        return (await self.make_keys(customer))[0].secret

    async def stored(self, request_ids: Iterable[str]) -> dict[str, int]:
        """Those of the ids that are in `usage_events`, with their cost. An id that is there twice is an error."""
        ids = [*request_ids]
        if not ids:
            return {}
        span = {"first": occurred_at(min(ids)), "last": occurred_at(max(ids))}
        async with self.parts.database.transaction() as tx:
            rows = (await tx.execute(_STORED, {"ids": ids, **span})).all()
        found = {row.request_id: row.cost for row in rows}
        assert len(found) == len(rows)
        return found

    async def await_stored(self, request_ids: Iterable[str]) -> float:
        """Until all are there; returns the seconds that it took, the looking included, which is long for millions."""
        missing, begin = set(request_ids), monotonic()
        count = len(missing)
        while missing:
            ids, waited = sorted(missing), monotonic() - begin
            for start in range(0, count, IDS_BATCH_SIZE):
                missing -= (await self.stored(ids[start : start + IDS_BATCH_SIZE])).keys()
            assert not missing or waited < INGEST_SECONDS, f"{len(missing)} of {count} answers are not counted"
            await asyncio.sleep(0.1 if missing else 0)
        return monotonic() - begin

    async def bill(self, customer: Customer) -> None:
        """The account's next month, although it is not over."""
        async with self.parts.database.transaction() as tx:
            await billing.register_accounts(tx)
        async with self.parts.database.transaction() as tx:
            assert await billing.finalize_invoice(tx, customer.actor.account_id, NOT_OVER)
        async with self.parts.database.transaction() as tx:
            await billing.number_invoices(tx, self.parts.settings.provider_zone)

    async def billed(self, customer: Customer) -> Billed:
        """Asserts that the audit of invoices finds nothing."""
        account_id = customer.actor.account_id
        async with self.parts.database.snapshot() as tx:
            for invoice in await billing.list_invoices(tx, account_id, most=10):
                assert await billing.audit_invoices(tx, [account_id], invoice.period) == []
            row = (await tx.execute(_BILLED, {"account": account_id})).one()
        return Billed(int(row.units), int(row.late), int(row.raw))

    async def ledgers(self, account_id: str) -> Ledgers:
        """Asserts that raw events, all three sizes of bucket and the billing period say the same."""
        async with self.parts.database.transaction() as tx:
            raw = [int(number) for number in (await tx.execute(_SUMS, {"account": account_id})).one()]
        calls, units, *buckets, billable, period = raw
        assert buckets == [calls, units] * 3
        assert billable == period
        return Ledgers(calls, units, billable)


def _plan(limits: Iterable[tuple[int, int]], **fields: Any) -> Plan:
    named = [
        {"name": f"w{ms}", "algorithm": "sliding_window", "amount": amount, "window_ms": ms, "per": "key"}
        for amount, ms in limits
    ]
    plan_id = new_id("plan")
    return Plan(id=plan_id, slug=plan_id.lower(), name="Faults", price=Decimal(0), limits=named, **fields)


async def ask_graphql(
    client: httpx2.AsyncClient, customer: Customer, document: str, **variables: Any
) -> dict[str, Any]:
    """The data of an answer without errors."""
    answer = await client.post(
        "/graphql",
        json={"query": document, "variables": variables},
        headers={"Authorization": f"Bearer {customer.token}"},
    )
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    assert "errors" not in body, body
    data: dict[str, Any] = body["data"]
    return data
