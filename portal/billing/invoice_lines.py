"""Make the lines of an invoice from all that goes into it. Pure, so that it can be done again at any time.

The inputs are kept with the invoice as JSON, and their SHA-256 beside them: the same inputs give the same lines.
"""

import hashlib
from calendar import month_name
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import ROUND_CEILING, Decimal
from typing import Any

import msgspec

from portal.billing.components import part_document
from portal.billing.decimals import ZERO
from portal.billing.fees import Fee
from portal.billing.models import InvoiceLine
from portal.billing.parse_tariff import parse_tariff_or_none
from portal.billing.prorate import Share, prorate
from portal.billing.rate import Line, LineKind, Totals, add_up, rate_usage
from portal.billing.tariff import Charge, ChargeModel, Tariff
from portal.core.errors import Invalid
from portal.core.money import exactly

UNITS = "units"
"""The code of usage where no charge has one. There is one quantity: whatever a tariff calls it, it is this."""


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


class InvoiceInputs(msgspec.Struct, frozen=True):
    """Everything that an invoice depends on."""

    period: str
    time_zone: str
    currency: str
    fees: list[Fee]
    usage: list[PeriodUsage]
    late: list[LateUsage]

    def to_json(self) -> dict[str, Any]:
        document: dict[str, Any] = msgspec.to_builtins(self)
        return document

    @property
    def digest(self) -> bytes:
        return hashlib.sha256(msgspec.json.encode(self, order="deterministic")).digest()


def inputs_from(document: dict[str, Any]) -> InvoiceInputs:
    """Return the inputs that `to_json` wrote. Raises msgspec.ValidationError."""
    return msgspec.convert(document, InvoiceInputs)


@dataclass(frozen=True, slots=True)
class InvoiceLineDraft:
    """A line, the period and plan that it is about, its tax, and the fee that it charges, if it is one."""

    line: Line
    period: str
    plan_id: str
    tax_percent: Decimal | None
    fee: Fee | None = None

    def row(self, account_id: str, invoice_id: str, position: int) -> InvoiceLine:
        """Return the line as it is stored. A fee's code is the plan's name, and its price negative in a credit."""
        line, fee = self.line, self.fee
        return InvoiceLine(
            account_id=account_id,
            invoice_id=invoice_id,
            position=position,
            kind=line.kind,
            code=fee.plan if fee else line.code,
            description=line.description,
            period=self.period,
            units=None if line.quantity is None else int(line.quantity),
            amount=line.amount,
            parts=[part_document(part) for part in line.parts],
            plan_id=self.plan_id,
            tax_percent=self.tax_percent,
            price=None if fee is None else -fee.price if fee.is_credit else fee.price,
            first_day=fee.first if fee else None,
            last_day=fee.last if fee else None,
        )


def build_lines(inputs: InvoiceInputs) -> list[InvoiceLineDraft]:
    """Return the lines of an invoice: fees, then usage, then what came late."""
    is_only_one = len(inputs.usage) == 1
    return [
        *(_fee(fee, inputs.currency) for fee in inputs.fees),
        *(line for metered in inputs.usage for line in _usage(metered, inputs.currency, is_only_one=is_only_one)),
        *(_late(late, inputs.currency) for late in inputs.late),
    ]


def rows_of(drafts: Iterable[InvoiceLineDraft], account_id: str, invoice_id: str) -> list[InvoiceLine]:
    """Return the lines as they are stored, in their order."""
    return [draft.row(account_id, invoice_id, position) for position, draft in enumerate(drafts, start=1)]


def is_worth_an_invoice(inputs: InvoiceInputs, drafts: Sequence[InvoiceLineDraft]) -> bool:
    """Tell whether there is anything to bill: a fee, a unit, or an amount."""
    has_units = any(metered.units for metered in inputs.usage)
    return bool(inputs.fees or inputs.late or has_units or any(draft.line.amount for draft in drafts))


def totals(inputs: InvoiceInputs, drafts: Iterable[InvoiceLineDraft]) -> Totals:
    """Add up an invoice, each rate of tax on the sum of its lines."""
    by_rate: dict[Decimal, list[Line]] = {}
    for draft in drafts:
        by_rate.setdefault(draft.tax_percent or ZERO, []).append(draft.line)
    sums = [add_up(lines, inputs.currency, percent) for percent, lines in by_rate.items()]
    nothing = add_up([], inputs.currency, None)
    subtotal = sum((of_rate.subtotal for of_rate in sums), nothing.subtotal)
    tax = sum((of_rate.tax for of_rate in sums), nothing.tax)
    return Totals(subtotal, tax, subtotal + tax)


def _fee(fee: Fee, currency: str) -> InvoiceLineDraft:
    amount = prorate(fee.price, Share(fee.days, fee.of_days), currency)
    words = f"{fee.plan}, {_days(fee.first, fee.last)}"
    described = f"Unused time on {words}" if fee.is_credit else words
    line = Line(LineKind.FEE, "plan", described, None, ZERO - amount if fee.is_credit else amount)
    return InvoiceLineDraft(line, fee.period, fee.plan_id, fee.tax_percent, fee)


def _usage(metered: PeriodUsage, currency: str, *, is_only_one: bool) -> list[InvoiceLineDraft]:
    """Return the tariff, with a charge at price 0 where it has none for units, so that units still show."""
    tariff = tariff_of(metered, currency)
    lines = _rated(metered, tariff, metered.units)
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
    before, after = (
        sum((line.amount for line in _rated(metered, tariff, max(0, units))), ZERO)
        for units in (late.billed, metered.units)
    )
    described = f"Usage in {_month(metered.period)} that came after its invoice"
    units = Decimal(metered.units - late.billed)
    line = Line(LineKind.ADJUSTMENT, UNITS, described, units, after - before)
    return InvoiceLineDraft(line, metered.period, metered.plan_id, tariff.tax_percent)


def tariff_of(metered: PeriodUsage, currency: str) -> Tariff:
    """Return the tariff of a period's usage, prorated to its days; units have a price at least, be it nothing.

    Raises Invalid for what is no tariff, or one in another currency.
    """
    tariff = parse_tariff_or_none(metered.tariff) or Tariff(currency, ())
    if tariff.currency != currency:
        raise Invalid(f"The tariff of {metered.plan} is in {tariff.currency}, the invoice in {currency}.")
    if all(charge.model is ChargeModel.FLAT for charge in tariff.charges):
        tariff = replace(tariff, charges=(Charge(UNITS, ChargeModel.PER_UNIT), *tariff.charges))
    return tariff if metered.share.is_whole else _for_days(tariff, metered.share)


def _for_days(tariff: Tariff, share: Share) -> Tariff:
    """Reduce free units and tiers to the part of the period that the account was on the plan."""
    charges = [
        replace(
            charge,
            free_units=_prorated_units(charge.free_units, share),
            tiers=tuple(
                replace(tier, up_to=tier.up_to and _prorated_units(tier.up_to, share)) for tier in charge.tiers
            ),
        )
        for charge in tariff.charges
    ]
    return replace(tariff, charges=tuple(charges))


def _prorated_units(units: Decimal, share: Share) -> Decimal:
    """Whole units, rounded up."""
    with exactly():
        return (units * share.days / share.of_days).to_integral_value(ROUND_CEILING)


def _rated(metered: PeriodUsage, tariff: Tariff, units: int) -> list[Line]:
    quantities = {charge.code: Decimal(units) for charge in tariff.charges}
    return [*rate_usage(tariff, quantities, metered.share)]


def _month(period: str) -> str:
    year, month = period.split("-")
    return f"{month_name[int(month)]} {year}"


def _days(first: date, last: date) -> str:
    """1 to 30 November 2026; a single day alone."""
    whole = f"{last.day} {month_name[last.month]} {last.year}"
    return whole if first == last else f"{first.day} to {whole}"
