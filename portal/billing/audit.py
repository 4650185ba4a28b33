"""Audit an account's invoices: what they bill against what was counted, and each against its own inputs.

A period is closed by the transaction that writes its invoice; what is ingested afterwards is told apart as late. So the
invoice must bill what was there at the closing, the adjustments of later invoices what came late, and only what came
after the newest closing may wait. And every invoice must be what its stored inputs give when they are billed again.
"""

from collections.abc import Sequence
from decimal import Decimal

from portal import usage
from portal.billing import store
from portal.billing.bill import bill, inputs_from, totals
from portal.billing.lines import lines_of
from portal.billing.models import BillingAccount, Invoice, InvoiceLine
from portal.core.database import Tx
from portal.usage import ClosedPeriod, Difference


async def audit_invoice(tx: Tx, account_id: str, period: str) -> list[Difference]:
    """What does not agree about one account and period."""
    billing = await store.find_billing(tx, account_id)
    closed = await usage.list_closed_periods(tx, account_id)
    this = next((one for one in closed if one.period == period), None)
    invoice = await store.find_invoice_of(tx, account_id, period)
    if this is None:
        return _not_closed(account_id, period, billing, invoice)
    billed = await store.billed_units(tx, account_id)
    adjusted = await store.adjusted_units(tx, account_id)
    found = [
        *_compare(account_id, period, "units", this.used - this.late, billed.get(period, 0)),
        *_compare_late(account_id, this, closed, adjusted.get(period, 0)),
    ]
    if invoice is not None:
        found += _rated_again(invoice, await store.list_lines(tx, account_id, [invoice.id]))
    return found


def _not_closed(
    account_id: str, period: str, billing: BillingAccount | None, invoice: Invoice | None
) -> list[Difference]:
    """Right where the period is not billed yet, or was over before billing began."""
    is_billed = billing is not None and billing.first_period <= period < billing.next_period
    if not is_billed and invoice is None:
        return []
    return [_difference(account_id, period, "closed periods", 1, 0)]


def _compare_late(
    account_id: str, this: ClosedPeriod, closed: Sequence[ClosedPeriod], adjusted: int
) -> list[Difference]:
    newest = max(one.closed_at for one in closed)
    if this.late_at is not None and this.late_at > newest:
        return []
    return _compare(account_id, this.period, "late units", this.late, adjusted)


def _rated_again(invoice: Invoice, lines: Sequence[InvoiceLine]) -> list[Difference]:
    inputs = inputs_from(invoice.inputs)
    again = bill(inputs)
    sums = totals(inputs, again)
    where = invoice.account_id, invoice.period
    expected = [_told(line) for line in lines_of(again, invoice.account_id, invoice.id)]
    return [
        *_compare(*where, "inputs as they were", 1, int(inputs.digest == invoice.digest)),
        *_compare(*where, "lines as rated again", len(expected), _equal(expected, [_told(line) for line in lines])),
        *_compare(*where, "thousandths of tax", _thousandths(sums.tax), _thousandths(invoice.tax)),
        *_compare(*where, "thousandths in total", _thousandths(sums.total), _thousandths(invoice.total)),
    ]


def _told(line: InvoiceLine) -> tuple[object, ...]:
    """All that a reader of the invoice sees."""
    return line.kind, line.description, line.period, line.units, line.amount, line.parts


def _equal(expected: Sequence[object], found: Sequence[object]) -> int:
    """How many are the same; one less than none where there are too many."""
    same = sum(one == other for one, other in zip(expected, found, strict=False))
    return same if len(found) <= len(expected) else len(found)


def _thousandths(amount: Decimal) -> int:
    """Every currency's minor unit is a whole number of them."""
    return int(amount * 1000)


def _compare(account_id: str, period: str, measure: str, expected: int, found: int) -> list[Difference]:
    return [] if expected == found else [_difference(account_id, period, measure, expected, found)]


def _difference(account_id: str, period: str, measure: str, expected: int, found: int) -> Difference:
    return Difference(account_id, "", "", f"invoice {period}", "billing periods", measure, expected, found)
