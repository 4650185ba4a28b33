"""Gather what a period's invoice depends on: the account's plans, what it was charged, what it used, what came late."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from portal import plans
from portal.accounts import get_account
from portal.billing import store
from portal.billing.bill import Inputs, Metered, inputs_from
from portal.billing.fees import Change, Days, Fee, Rate, day_of, days_of, fees_due, invoiced, owed, rate_on
from portal.billing.models import InvoiceLine
from portal.billing.tariff import tariff_from
from portal.core.database import Tx
from portal.core.ids import AccountId
from portal.plans import Period, Plan
from portal.usage import ClosedPeriod


@dataclass(frozen=True, slots=True)
class Past:
    """Which plan the account was on, day by day, in its time zone. `changes` are in the order of time."""

    account_id: str
    time_zone: str
    changes: list[Change]
    plans: dict[str, Plan]

    @classmethod
    async def of(cls, tx: Tx, account_id: str) -> Self:
        account = await get_account(tx, AccountId(account_id))
        default = await plans.get_default_plan(tx)
        chosen = await plans.list_subscriptions(tx, account_id)
        begun = [(account.created_at, default.id), *((one.started_at, one.plan_id) for one in reversed(chosen))]
        known = {plan_id: await plans.get_plan(tx, plan_id) for plan_id in {plan_id for _, plan_id in begun}}
        changes = [Change(day_of(at, account.time_zone), _rate_of(known[plan_id])) for at, plan_id in begun]
        return cls(account_id, account.time_zone, changes, known)

    def days(self, period: Period) -> Days:
        return days_of(period, self.time_zone)

    def plan_at_end(self, days: Days) -> Plan:
        """The plan that prices the usage of a period: the one that it ends on."""
        rate = rate_on(self.changes, days.last) or self.changes[0].rate
        return self.plans[rate.plan_id]

    def metered(self, days: Days, units: int, billed: int = 0) -> Metered:
        plan = self.plan_at_end(days)
        since = max((change.day for change in self.changes if change.day <= days.last), default=days.first)
        covered = Days(days.period, max(since, days.first), days.last)
        return Metered(days.period, plan.name, plan.tariff, units, covered.count, days.count, billed)


async def gather(tx: Tx, account_id: str, period: Period, units: int, closed: Sequence[ClosedPeriod]) -> Inputs:
    """`units` were used in the period; `closed` are those that have been billed."""
    past = await Past.of(tx, account_id)
    days = past.days(period)
    following = past.days(plans.periods_around(period.end, past.time_zone)[0])
    plan = past.plan_at_end(days)
    return Inputs(
        period=period.name,
        time_zone=past.time_zone,
        currency=plan.currency,
        tax_percent=tariff_from(plan.tariff).tax_percent if plan.tariff else None,
        fees=[*await _fees(tx, past, days), *await _fees(tx, past, following)],
        usage=past.metered(days, units),
        late=await _late(tx, past, closed),
    )


def _rate_of(plan: Plan) -> Rate:
    return Rate(plan.id, plan.name, plan.price)


async def _fees(tx: Tx, past: Past, days: Days) -> list[Fee]:
    charged = [_fee_of(line, days) for line in await store.list_fees(tx, past.account_id, days.period)]
    return fees_due(owed(past.changes, days), invoiced(charged, days), days)


def _fee_of(line: InvoiceLine, days: Days) -> Fee:
    known = line.plan_id, line.price, line.first_day, line.last_day
    match known:
        case str(plan_id), price, first, last if price is not None and first is not None and last is not None:
            return Fee(line.period, plan_id, line.code, abs(price), first, last, days.count, price < 0)
    raise ValueError(f"line {line.position} of {line.invoice_id} is no fee")


async def _late(tx: Tx, past: Past, closed: Sequence[ClosedPeriod]) -> list[Metered]:
    """Of each period the part of what came late that no invoice has yet."""
    adjusted = await store.adjusted_units(tx, past.account_id)
    pending = [one for one in closed if one.late != adjusted.get(one.period, 0)]
    return [await _metered_late(tx, past, one, adjusted.get(one.period, 0)) for one in pending]


async def _metered_late(tx: Tx, past: Past, one: ClosedPeriod, adjusted: int) -> Metered:
    """At the tariff of its own invoice; where it had none, at that of its plan."""
    billed = one.used - one.late + adjusted
    invoice = await store.find_invoice_of(tx, past.account_id, one.period)
    if invoice is None:
        return past.metered(past.days(plans.period_named(one.period, past.time_zone)), one.used, billed)
    known = inputs_from(invoice.inputs).usage
    return Metered(known.period, known.plan, known.tariff, one.used, known.days, known.of_days, billed)
