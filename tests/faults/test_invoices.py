"""Closers, ingest, settlements, changes of plan and an auditor at once: no unit is lost or billed twice.

The audit, which reads in snapshots of its own all the while, must find nothing at any moment.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime, timedelta
from itertools import count
from random import Random

import pytest

from portal import billing
from portal.core.clock import utc_now
from portal.core.database import Database
from portal.core.embedded import EmbeddedServices
from portal.core.errors import NotFound
from portal.core.ids import new_id
from portal.usage import (
    Difference,
    ExternalEvent,
    ResourceCap,
    Retention,
    audit_accounts,
    encode_batch,
    ingest_external,
    ingest_usage,
    list_closed_periods,
    settle_usage,
)
from tests.billing.account import GRACE, NOW, ZONE, choose, month, name, new_account, number_all, numbers_have_no_gap
from tests.faults.tools.report import Report, sized
from tests.usage.databases import stocked_database
from tests.usage.sample import record, request_id

ACCOUNTS = sized(4, 6)
SECONDS = sized(4, 30)
CLOSERS, INGESTERS, SETTLERS = 3, 3, 2
MONTHS = (3, 2, 1, 0)
SLUGS = ("free", "pro", "enterprise")
DAYS = 24 * 27


@pytest.fixture
async def own(services: EmbeddedServices) -> AsyncIterator[Database]:
    async with stocked_database(services) as database:
        yield database


class Trouble:
    """What everybody does, each a step at a time, on accounts that they share."""

    def __init__(self, database: Database, accounts: list[str]) -> None:
        self.audits = self.settled = 0
        self._database = database
        self._accounts = accounts
        self._draw = Random(7)  # noqa: S311 no secret
        self._numbers = count()
        self._open: list[str] = []
        self._names = ResourceCap()

    async def close(self) -> None:
        """As if the current month were over, too."""
        await bill(self._database, self._draw.choice(self._accounts), month(-1) + timedelta(days=1))
        await asyncio.sleep(self._draw.random() * 0.3)

    async def ingest(self) -> None:
        batch = []
        for _ in range(30):
            number, at = next(self._numbers), self._instant()
            one = record(number, at, account_id=self._draw.choice(self._accounts), cost=self._draw.choice((1, 10, 100)))
            batch.append(one)
            if at > NOW:
                self._open.append(request_id(at, number))
        await ingest_usage(self._database, encode_batch(batch))

    async def meter(self) -> None:
        at = self._instant()
        event = (new_id("e"), at, "", "live", "render", self._draw.choice((1, 7)), f"{at:%Y-%m}")
        events = [ExternalEvent(account_id, "s", *event) for account_id in self._accounts]
        await ingest_external(self._database, events, "svc_1", self._names)

    async def settle(self) -> None:
        """Some of what is still on its way: that is told, and changes nothing."""
        await asyncio.sleep(0.005)
        if self._open:
            wanted = self._open.pop(self._draw.randrange(len(self._open)))
            try:
                async with self._database.transaction() as tx:
                    await settle_usage(tx, wanted, self._draw.choice((0, 5, 500)))
                self.settled += 1
            except NotFound:
                self._open.append(wanted)

    async def change_plan(self) -> None:
        at = month(self._draw.choice(MONTHS)) + timedelta(hours=self._draw.randrange(DAYS))
        await choose(self._database, self._draw.choice(self._accounts), self._draw.choice(SLUGS), at)
        await asyncio.sleep(0.1)

    async def number(self) -> None:
        async with self._database.transaction() as tx:
            await billing.number_invoices(tx, ZONE, most=self._draw.choice((1, 3, 100)))
        await asyncio.sleep(0.02)

    async def audit(self) -> None:
        assert await differences(self._database, self._draw.choice(self._accounts)) == []
        self.audits += 1
        await asyncio.sleep(0.05)

    def _instant(self) -> datetime:
        """Now, or some time in a month."""
        back = self._draw.choice((0, 0, *MONTHS[:-1]))
        return utc_now() if back == 0 else month(back) + timedelta(hours=self._draw.random() * DAYS)


async def test_no_unit_is_lost_or_billed_twice_whatever_happens_at_once(own: Database, report: Report) -> None:
    accounts = [await new_account(own, opened=month(MONTHS[0])) for _ in range(ACCOUNTS)]
    trouble = Trouble(own, accounts)
    steps = [*[trouble.close] * CLOSERS, *[trouble.ingest] * INGESTERS, *[trouble.settle] * SETTLERS]
    others = [trouble.meter, trouble.change_plan, trouble.number, trouble.number, trouble.audit]
    await asyncio.gather(*[until_over(step) for step in (*steps, *others)])
    used = 0
    for account_id in accounts:
        while await bill(own, account_id, month(-2) + timedelta(days=1)):
            pass
        assert await differences(own, account_id) == []
        async with own.snapshot() as tx:
            closed = await list_closed_periods(tx, account_id)
        assert all(one.used == one.billed for one in closed)
        used += sum(one.used for one in closed)
    await number_all(own)
    await numbers_have_no_gap(own)
    async with own.snapshot() as tx:
        assert await billing.audit_numbers(tx) == []
    assert trouble.audits
    assert trouble.settled
    report.tell(
        "invoices amid ingest",
        f"{used} units of {ACCOUNTS} accounts, {trouble.settled} settled, all on invoices once;"
        f" {trouble.audits} audits meanwhile found nothing",
    )


async def until_over(step: Callable[[], Awaitable[None]]) -> None:
    loop = asyncio.get_running_loop()
    until = loop.time() + SECONDS
    while loop.time() < until:
        await step()


async def bill(database: Database, account_id: str, now: datetime) -> billing.FinalizedInvoice | None:
    async with database.transaction() as tx:
        tx.now = now
        return await billing.finalize_invoice(tx, account_id, GRACE)


async def differences(database: Database, account_id: str) -> list[Difference]:
    """From the raw event to the line of the invoice."""
    async with database.snapshot() as tx:
        found = []
        for back in MONTHS:
            found += await billing.audit_invoices(tx, [account_id], name(back))
            found += await audit_accounts(tx, [account_id], month(back), Retention())
        return found
