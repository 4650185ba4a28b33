"""Bill a period: from all that goes into an invoice to its lines. Pure, so that it can be done again at any time.

The inputs are kept with the invoice as JSON, and their SHA-256 beside them: the same inputs give the same lines.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Any

import msgspec

from portal.billing.fees import Fee
from portal.billing.prorate import Share, prorate
from portal.billing.rate import Line, LineKind, Totals, add_up, rate_usage
from portal.billing.tariff import Charge, ChargeModel, Tariff, tariff_from

UNITS = "units"
"""The code of usage where no charge has one. There is one quantity: whatever a tariff calls it, it is this."""
MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)


class Metered(msgspec.Struct, frozen=True):
    """Units of a period at a plan's tariff, which holds for `days` of the period's `of_days`.

    `billed` of them are on an invoice already, so that only the difference is charged; 0 where it is the first time.
    """

    period: str
    plan: str
    tariff: dict[str, Any]
    units: int
    days: int
    of_days: int
    billed: int = 0


class Inputs(msgspec.Struct, frozen=True):
    """Everything that an invoice depends on. `late` is usage that came after its period's invoice."""

    period: str
    time_zone: str
    currency: str
    tax_percent: Decimal | None
    fees: list[Fee]
    usage: Metered
    late: list[Metered]

    def to_json(self) -> dict[str, Any]:
        document: dict[str, Any] = msgspec.to_builtins(self)
        return document

    @property
    def digest(self) -> bytes:
        return hashlib.sha256(msgspec.json.encode(self, order="deterministic")).digest()

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to tell the account."""
        return not (self.fees or self.usage.units or self.late)


def inputs_from(document: dict[str, Any]) -> Inputs:
    """What `to_json` wrote. Raises msgspec.ValidationError."""
    return msgspec.convert(document, Inputs)


@dataclass(frozen=True, slots=True)
class Billed:
    """A line, the period it is about, and the fee that it charges, if it is one."""

    line: Line
    period: str
    fee: Fee | None = None


def bill(inputs: Inputs) -> list[Billed]:
    """Fees, then usage, then what came late."""
    return [
        *(_fee(fee, inputs.currency) for fee in inputs.fees),
        *(Billed(line, inputs.usage.period) for line in _usage(inputs.usage, inputs.currency)),
        *(_late(late, inputs.currency) for late in inputs.late),
    ]


def totals(inputs: Inputs, billed: Iterable[Billed]) -> Totals:
    return add_up([one.line for one in billed], inputs.currency, inputs.tax_percent)


def _fee(fee: Fee, currency: str) -> Billed:
    amount = prorate(fee.price, Share(fee.days, fee.of_days), currency)
    words = f"{fee.plan}, {_days(fee.first, fee.last)}"
    described = f"Unused time on {words}" if fee.is_credit else words
    line = Line(LineKind.FEE, "plan", described, None, Decimal(0) - amount if fee.is_credit else amount, ())
    return Billed(line, fee.period, fee)


def _usage(metered: Metered, currency: str) -> list[Line]:
    """A plan that charges nothing for usage still says how much there was."""
    lines = _rated(metered, metered.units, currency)
    used = [line for line in lines if line.kind is LineKind.USAGE]
    return [replace(line, description=_described(line, _month(metered.period), len(used) == 1)) for line in lines]


def _described(line: Line, month: str, is_only_one: bool) -> str:
    if line.kind is LineKind.USAGE:
        return f"Usage in {month}" if is_only_one else f"Usage in {month}: {line.description}"
    words = {LineKind.MINIMUM: "Minimum of", LineKind.MAXIMUM: "Maximum of"}.get(line.kind, f"{line.code} in")
    return f"{words} {month}"


def _late(metered: Metered, currency: str) -> Billed:
    """What the period would have cost more, had it been there in time."""
    before, after = (
        sum((line.amount for line in _rated(metered, units, currency)), Decimal(0))
        for units in (metered.billed, metered.units)
    )
    described = f"Usage in {_month(metered.period)} that came after its invoice"
    units = Decimal(metered.units - metered.billed)
    return Billed(Line(LineKind.ADJUSTMENT, UNITS, described, units, after - before), metered.period)


def _rated(metered: Metered, units: int, currency: str) -> list[Line]:
    tariff = tariff_from(metered.tariff) if metered.tariff else Tariff(currency, ())
    if all(charge.model is ChargeModel.FLAT for charge in tariff.charges):
        tariff = replace(tariff, charges=(Charge(UNITS, ChargeModel.PER_UNIT), *tariff.charges))
    quantities = {charge.code: Decimal(units) for charge in tariff.charges}
    return [*rate_usage(tariff, quantities, Share(metered.days, metered.of_days))]


def _month(period: str) -> str:
    year, month = period.split("-")
    return f"{MONTHS[int(month) - 1]} {year}"


def _days(first: date, last: date) -> str:
    """1 to 30 November 2026; a single day alone."""
    whole = f"{last.day} {MONTHS[last.month - 1]} {last.year}"
    return whole if first == last else f"{first.day} to {whole}"
