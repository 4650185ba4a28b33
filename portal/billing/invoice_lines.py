"""The lines of an invoice before they are stored, of every model, and what they add up to."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal

from portal.billing.components import part_document
from portal.billing.decimals import ZERO
from portal.billing.models import InvoiceLine
from portal.billing.rate import Line, Totals, add_up
from portal.billing.tariff import Charge, ChargeModel, Tariff
from portal.core.money import exactly

UNITS = "units"
"""The code of usage where no charge has one. There is one quantity: whatever a tariff calls it, it is this."""


@dataclass(frozen=True, slots=True)
class ChargedDays:
    """The days `first` to `last` that a fee is for, at `price` a period; the price is negative in a credit."""

    plan: str
    price: Decimal
    first: date
    last: date


@dataclass(frozen=True, slots=True)
class InvoiceLineDraft:
    """A line, the period and plan that it is about, its tax, and the days that it charges, if it is a fee.

    `version`: that of the plan; None by the first model, which knew none.
    """

    line: Line
    period: str
    plan_id: str
    tax_percent: Decimal | None
    fee: ChargedDays | None = None
    version: int | None = None

    def row(self, account_id: str, invoice_id: str, position: int) -> InvoiceLine:
        """Return the line as it is stored. A fee's code is the plan's name."""
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
            plan_version=self.version,
            tax_percent=self.tax_percent,
            price=fee.price if fee else None,
            first_day=fee.first if fee else None,
            last_day=fee.last if fee else None,
        )


def rows_of(drafts: Iterable[InvoiceLineDraft], account_id: str, invoice_id: str) -> list[InvoiceLine]:
    """Return the lines as they are stored, in their order."""
    return [draft.row(account_id, invoice_id, position) for position, draft in enumerate(drafts, start=1)]


def totals(currency: str, drafts: Iterable[InvoiceLineDraft]) -> Totals:
    """Add up an invoice, each rate of tax on the sum of its lines."""
    by_rate: dict[Decimal, list[Line]] = {}
    for draft in drafts:
        by_rate.setdefault(draft.tax_percent or ZERO, []).append(draft.line)
    sums = [add_up(lines, currency, percent) for percent, lines in by_rate.items()]
    nothing = add_up([], currency, None)
    with exactly():
        subtotal = sum((of_rate.subtotal for of_rate in sums), nothing.subtotal)
        tax = sum((of_rate.tax for of_rate in sums), nothing.tax)
        return Totals(subtotal, tax, subtotal + tax)


def priced_by_unit(tariff: Tariff) -> Tariff:
    """Return the tariff, with a charge at price 0 where it has none for units, so that units still show."""
    if all(charge.model is ChargeModel.FLAT for charge in tariff.charges):
        return replace(tariff, charges=(Charge(UNITS, ChargeModel.PER_UNIT), *tariff.charges))
    return tariff
