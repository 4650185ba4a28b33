"""Inputs of the second model from what was counted: each unit at the plan of its own day, late ones too, once."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest
from sqlalchemy import text

from portal import plans, usage
from portal.billing import audit_invoices
from portal.billing.inputs import build_lines
from portal.billing.invoice_lines import InvoiceLineDraft, rows_of, totals
from portal.billing.models import Invoice
from portal.billing.second_model import InvoiceInputs
from portal.billing.second_model.collect_inputs import collect_inputs
from portal.core.database import Database, Tx
from portal.core.ids import new_id
from portal.plans import ChangeKind, PeriodHistory, month_period, next_period
from portal.usage import ClosedPeriod, encode_batch, ingest_usage
from tests.billing.account import choose, finalize_next, name, new_account, use
from tests.billing.second_model import told
from tests.plans.plan_model import ENTERPRISE, FREE, PRO, Account, at, plan
from tests.usage.sample import record

HOUR = timedelta(hours=1)
MILLION = 1_000_000
VOLUME = {"code": "units", "model": "volume", "tiers": [{"up_to": 100, "unit": 2, "flat": 10}, {"unit": 1}]}
_OPENED = text("UPDATE accounts SET created_at = :at WHERE id = :id")
_BILLED_FROM = text(
    "UPDATE billing_accounts SET first_period = :period, next_period = :period, next_at = :at WHERE account_id = :id"
)


def day(period: plans.AccountPeriod, number: int) -> datetime:
    return at(number, period=period)


class Billed:
    """An account that is billed by the second model, with histories that are given; months count back from now."""

    def __init__(self, database: Database, account_id: str, histories: dict[str, PeriodHistory]) -> None:
        self.database, self.account_id, self.histories = database, account_id, histories

    async def load(self, _: Tx, account_id: str, period: str) -> PeriodHistory:
        assert account_id == self.account_id
        return self.histories[period]

    async def draft(self, back: int) -> list[InvoiceLineDraft]:
        async with self.database.transaction() as tx:
            closed = await usage.list_closed_periods(tx, self.account_id)
            units = await usage.used_in_period(tx, self.account_id, name(back))
            return build_lines(await self._inputs(tx, back, units, closed))

    async def finalize(self, back: int) -> list[InvoiceLineDraft]:
        async with self.database.transaction() as tx:
            closed = await usage.mark_late_usage_billed(tx, self.account_id)
            units = await usage.close_period(tx, self.account_id, name(back))
            assert units is not None
            inputs = await self._inputs(tx, back, units, closed)
            lines, invoice_id = build_lines(inputs), new_id("inv")
            await tx.insert_all([_invoice(inputs, lines, self.account_id, invoice_id)])
            await tx.insert_all(rows_of(lines, self.account_id, invoice_id))
        return lines

    async def _inputs(self, tx: Tx, back: int, units: int, closed: Sequence[ClosedPeriod]) -> InvoiceInputs:
        history = self.histories[name(back)]
        following = next_period(history.period, history.period.time_zone)
        return await collect_inputs(tx, self.account_id, history, following, units, closed, self.load)

    async def differences(self, back: int) -> list[str]:
        async with self.database.snapshot() as tx:
            found = await audit_invoices(tx, [self.account_id], name(back))
        return [one.measure for one in found if one.measure != "closed periods"]


def _invoice(inputs: InvoiceInputs, lines: list[InvoiceLineDraft], account_id: str, invoice_id: str) -> Invoice:
    sums = totals(inputs.currency, lines)
    return Invoice(
        id=invoice_id,
        account_id=account_id,
        number=f"T-{invoice_id}",
        period=inputs.period,
        period_start=inputs.start,
        period_end=inputs.end,
        currency=inputs.currency,
        subtotal=sums.subtotal,
        tax=sums.tax,
        total=sums.total,
        inputs=inputs.to_json(),
        digest=inputs.digest,
        finalized_at=inputs.end,
    )


async def billed(database: Database, *accounts: Account, zone: str = "UTC") -> Billed:
    """Return an account with these histories of the last months, the oldest first."""
    account_id = await new_account(database, opened=accounts[0].history.period.start, time_zone=zone)
    return Billed(database, account_id, {held.history.period.name: held.history for held in accounts})


def months(count: int, zone: str = "UTC") -> list[plans.AccountPeriod]:
    return [month_period(name(back), zone) for back in range(count, 0, -1)]


def amounts(lines: list[InvoiceLineDraft], kind: str) -> list[tuple[str, int | None, str]]:
    """Plan, units and amount of the lines of a kind."""
    found = [line for line in lines if line.line.kind == kind]
    return [(b.plan_id, None if b.line.quantity is None else int(b.line.quantity), str(b.line.amount)) for b in found]


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kathmandu", "America/Los_Angeles"])
async def test_units_are_those_of_the_days_of_their_stretch(own: Database, zone: str) -> None:
    (period,) = months(1, zone)
    held = Account(FREE, period).choose(PRO, day(period, 10)).choose(ENTERPRISE, day(period, 20))
    account = await billed(own, held, zone=zone)

    async def use_in(instant: datetime, units: int) -> None:
        counted = record(0, instant, account_id=account.account_id, cost=units, period=period.name)
        await ingest_usage(own, encode_batch([counted]))

    for number, units in {1: 5, 9: 7, 10: 100, 19: 200, 20: 1_000, 28: 2_000}.items():
        await use_in(period.start_of(number - 1) + timedelta(minutes=1), units)
    await use_in(period.start_of(9) - timedelta(minutes=1), 2)
    draft = await account.draft(1)
    assert amounts(draft, "usage") == [
        ("plan_Free", 14, "0.00"),
        ("plan_Pro", 300, "0.00"),
        ("plan_Enterprise", 3_000, "0.00"),
    ]
    assert told(await account.finalize(1)) == told(draft), "the draft is what is finalized"
    assert await account.differences(1) == []


async def test_late_units_are_priced_by_the_plan_of_their_own_day_once(own: Database) -> None:
    """F1 and F2: of a Free day nothing, of an Enterprise day its price, whatever the month ended on."""
    first, second, third = months(3)
    held = Account(FREE, first).choose(ENTERPRISE, day(first, 20)).move(FREE, day(first, 21), ChangeKind.MOVE_DOWN)
    account = await billed(own, held, Account(PRO, second), Account(PRO, third))
    await use(own, account.account_id, day(first, 20), 2, cost=MILLION)
    await account.finalize(3)
    await use(own, account.account_id, day(first, 3), 5, cost=MILLION)
    await use(own, account.account_id, day(first, 20) + HOUR, 5, cost=MILLION)
    late = [line for line in await account.finalize(2) if line.line.kind == "adjustment" and line.line.code == "units"]
    assert amounts(late, "adjustment") == [
        ("plan_Free", 5 * MILLION, "0.00"),
        ("plan_Enterprise", 5 * MILLION, "90.00"),
    ]
    assert [
        line for line in await account.finalize(1) if line.line.code == "units" and line.line.kind == "adjustment"
    ] == []
    assert [await account.differences(back) for back in (3, 2, 1)] == [[], [], []]


async def test_what_is_told_late_in_portions_costs_what_it_costs_at_once(own: Database) -> None:
    first, second, third = months(3)
    steps = plan("steps", 1, 0, tariff={"currency": "EUR", "charges": [VOLUME]})
    account = await billed(own, *[Account(steps, period) for period in (first, second, third)])
    await use(own, account.account_id, day(first, 2), 1, cost=100)
    assert amounts(await account.finalize(3), "usage") == [("plan_steps", 100, "210.00")]
    await use(own, account.account_id, day(first, 4), 1)
    assert told(await account.finalize(2)) == [
        *[("usage", f"Usage in {second.start:%B %Y}", second.name, "10.00")],
        ("adjustment", f"Usage on steps in {first.start:%B %Y} that came after its invoice", first.name, "-109.00"),
        ("adjustment", "Carried over to the next invoice", second.name, "99.00"),
    ]
    await use(own, account.account_id, day(first, 5), 1, cost=9)
    await use(own, account.account_id, day(third, 5), 1, cost=95)
    assert [line[3] for line in told(await account.finalize(1))] == ["200.00", "9.00", "-99.00"]
    assert [await account.differences(back) for back in (3, 2, 1)] == [[], [], []]


async def test_a_month_without_an_invoice_is_priced_by_what_was_held_in_it(own: Database) -> None:
    first, second = months(2)
    account = await billed(own, Account(FREE, first).choose(ENTERPRISE, day(first, 11)), Account(FREE, second))
    async with own.transaction() as tx:
        await usage.close_period(tx, account.account_id, first.name)
    await use(own, account.account_id, day(first, 11), 60, cost=MILLION)
    ((plan_id, units, amount),) = amounts(await account.finalize(1), "adjustment")
    included = plans.included(50 * MILLION, len(first.days) - 10, len(first.days))
    assert (plan_id, units) == ("plan_Enterprise", 60 * MILLION)
    assert amount == f"{(60 * MILLION - included) * 0.000018:.2f}"


async def test_late_units_of_an_invoice_of_the_first_model_are_of_their_own_day_too(own: Database) -> None:
    """That model itself charged them by the plan that the month ended on."""
    first, second = months(2)
    account = await billed(own, Account(FREE, second))
    async with own.transaction() as tx:
        await tx.execute(_OPENED, {"id": account.account_id, "at": first.start})
    await choose(own, account.account_id, "enterprise", day(first, 10))
    await choose(own, account.account_id, "free", day(first, 11))
    await use(own, account.account_id, day(first, 10), 10, cost=MILLION)
    async with own.transaction() as tx:
        await tx.execute(_BILLED_FROM, {"id": account.account_id, "period": first.name, "at": first.end})
    assert await finalize_next(own, account.account_id) is not None
    await use(own, account.account_id, day(first, 10) + HOUR, 5, cost=MILLION)
    await use(own, account.account_id, day(first, 20), 3, cost=MILLION)
    late = [line for line in await account.finalize(1) if line.line.code == "units" and line.line.kind == "adjustment"]
    by_amount = {amount: units for _, units, amount in amounts(late, "adjustment")}
    assert by_amount == {"90.00": 5 * MILLION, "0.00": 3 * MILLION}
