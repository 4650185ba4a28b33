"""Make the lines of an invoice of the first model. Pure, so that it can be done again at any time.

Invoices that it wrote keep it for ever: their inputs have no `model`, and their lines and digest never change.
Here the tiers and the maximum were divided by days, too, and what came late was priced by the plan that its month ended
on: decision 0075.
"""

import hashlib
from calendar import month_name
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime
from decimal import ROUND_CEILING, Decimal
from typing import Any

import msgspec

from portal.billing.decimals import ZERO
from portal.billing.first_model.fees import Fee
from portal.billing.invoice_lines import UNITS, ChargedDays, InvoiceLineDraft, priced_by_unit
from portal.billing.parse_tariff import parse_tariff_or_none
from portal.billing.prorate import Share, prorate
from portal.billing.rate import Line, LineKind, rate_usage
from portal.billing.tariff import ChargeModel, Tariff
from portal.core.errors import Invalid
from portal.core.money import exactly
from portal.plans import AccountPeriod, month_period


class PeriodUsage(msgspec.Struct, frozen=True):
    """Units of a period on a plan, which the account was on for `days` of its `of_days`, at the plan's tariff."""

    period: str
    plan_id: str
    plan: str
    tariff: dict[str, Any]
    units: int
    days: int
    of_days: int

    @property
    def share(self) -> Share:
        return Share(self.days, self.of_days)


class LateUsage(msgspec.Struct, frozen=True):
    """Usage that came after its period's invoice: `metered` has it, and had `billed` units without it."""

    metered: PeriodUsage
    billed: int


class InvoiceInputs(msgspec.Struct, frozen=True, omit_defaults=True):
    """Everything that an invoice depends on. `start` and `end`: where they are not those of the month in its zone."""

    period: str
    time_zone: str
    currency: str
    fees: list[Fee]
    usage: list[PeriodUsage]
    late: list[LateUsage]
    start: datetime | None = None
    end: datetime | None = None

    @property
    def billed_period(self) -> AccountPeriod:
        if self.start is None or self.end is None:
            return month_period(self.period, self.time_zone)
        return AccountPeriod(self.period, self.time_zone, self.start, self.end)

    def to_json(self) -> dict[str, Any]:
        document: dict[str, Any] = msgspec.to_builtins(self)
        return document

    @property
    def digest(self) -> bytes:
        return hashlib.sha256(msgspec.json.encode(self, order="deterministic")).digest()


def inputs_from(document: dict[str, Any]) -> InvoiceInputs:
    """Return the inputs that `to_json` wrote, or what those of a later model have in common with them.

    Raises msgspec.ValidationError.
    """
    return msgspec.convert(document, InvoiceInputs)


def price_usage(metered: PeriodUsage, units: int, currency: str) -> Decimal:
    """Return what so many units cost as a period's usage, each line rounded as on its invoice."""
    with exactly():
        return sum((line.amount for line in _rated(tariff_of(metered, currency), max(0, units))), ZERO)


def build_lines(inputs: InvoiceInputs) -> list[InvoiceLineDraft]:
    """Return the lines of an invoice: fees, then usage, then what came late."""
    is_only_one = len(inputs.usage) == 1
    return [
        *(_fee(fee, inputs.currency) for fee in inputs.fees),
        *(line for metered in inputs.usage for line in _usage(metered, inputs.currency, is_only_one=is_only_one)),
        *(_late(late, inputs.currency) for late in inputs.late),
    ]


def is_worth_an_invoice(inputs: InvoiceInputs, drafts: Sequence[InvoiceLineDraft]) -> bool:
    """Tell whether there is anything to bill: a fee, a unit, or an amount."""
    has_units = any(metered.units for metered in inputs.usage)
    return bool(inputs.fees or inputs.late or has_units or any(draft.line.amount for draft in drafts))


def _fee(fee: Fee, currency: str) -> InvoiceLineDraft:
    amount = prorate(fee.price, Share(fee.days, fee.of_days), currency)
    words = f"{fee.plan}, {_days(fee.first, fee.last)}"
    described = f"Unused time on {words}" if fee.is_credit else words
    line = Line(LineKind.FEE, "plan", described, None, ZERO - amount if fee.is_credit else amount)
    charged = ChargedDays(fee.plan, -fee.price if fee.is_credit else fee.price, fee.first, fee.last)
    return InvoiceLineDraft(line, fee.period, fee.plan_id, fee.tax_percent, charged)


def _usage(metered: PeriodUsage, currency: str, *, is_only_one: bool) -> list[InvoiceLineDraft]:
    """Return the tariff, with a charge at price 0 where it has none for units, so that units still show."""
    tariff = tariff_of(metered, currency)
    lines = _rated(tariff, metered.units)
    has_several = len([line for line in lines if line.kind is LineKind.USAGE]) > 1
    month = _month(metered.period)
    when = month if is_only_one else f"{month} on {metered.plan}, {metered.days} of {metered.of_days} days"
    described = [replace(line, description=_described(line, when, has_several=has_several)) for line in lines]
    return [InvoiceLineDraft(line, metered.period, metered.plan_id, tariff.tax_percent) for line in described]


def _described(line: Line, when: str, *, has_several: bool) -> str:
    if line.kind is LineKind.USAGE:
        return f"Usage in {when}: {line.description}" if has_several else f"Usage in {when}"
    words = {LineKind.MINIMUM: "Minimum of", LineKind.MAXIMUM: "Maximum of"}.get(line.kind, f"{line.code} in")
    return f"{words} {when}"


def _late(late: LateUsage, currency: str) -> InvoiceLineDraft:
    """Charge what the period would have cost more, had the usage been there in time."""
    metered, tariff = late.metered, tariff_of(late.metered, currency)
    with exactly():
        amount = price_usage(metered, metered.units, currency) - price_usage(metered, late.billed, currency)
    described = f"Usage in {_month(metered.period)} that came after its invoice"
    line = Line(LineKind.ADJUSTMENT, UNITS, described, Decimal(metered.units - late.billed), amount)
    return InvoiceLineDraft(line, metered.period, metered.plan_id, tariff.tax_percent)


def tariff_of(metered: PeriodUsage, currency: str) -> Tariff:
    """Return the tariff of a period's usage, prorated to its days; units have a price at least, be it nothing.

    Raises Invalid for what is no tariff, or one in another currency.
    """
    tariff = parse_tariff_or_none(metered.tariff) or Tariff(currency, ())
    if tariff.currency != currency:
        raise Invalid(f"The tariff of {metered.plan} is in {tariff.currency}, the invoice in {currency}.")
    tariff = priced_by_unit(tariff)
    return tariff if metered.share.is_whole else _for_days(tariff, metered.share)


def _for_days(tariff: Tariff, share: Share) -> Tariff:
    """Reduce all that has a size to the part of the period that the account was on the plan."""

    def part_of(bound: Decimal | None) -> Decimal | None:
        return None if bound is None else prorate(bound, share, tariff.currency)

    charges = [
        replace(
            charge,
            free_units=_prorated_units(charge.free_units, share),
            tiers=tuple(
                replace(tier, up_to=tier.up_to and _prorated_units(tier.up_to, share)) for tier in charge.tiers
            ),
            minimum=part_of(charge.minimum),
            maximum=part_of(charge.maximum),
            price=prorate(charge.price, share, tariff.currency) if charge.model is ChargeModel.FLAT else charge.price,
        )
        for charge in tariff.charges
    ]
    return replace(tariff, charges=tuple(charges), minimum=part_of(tariff.minimum), maximum=part_of(tariff.maximum))


def _prorated_units(units: Decimal, share: Share) -> Decimal:
    """Whole units, rounded up."""
    with exactly():
        return (units * share.days / share.of_days).to_integral_value(ROUND_CEILING)


def _rated(tariff: Tariff, units: int) -> list[Line]:
    return [*rate_usage(tariff, {charge.code: Decimal(units) for charge in tariff.charges})]


def _month(period: str) -> str:
    year, month = period.split("-")
    return f"{month_name[int(month)]} {year}"


def _days(first: date, last: date) -> str:
    """1 to 30 November 2026; a single day alone."""
    whole = f"{last.day} {month_name[last.month]} {last.year}"
    return whole if first == last else f"{first.day} to {whole}"
