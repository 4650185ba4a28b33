"""Audit an account's invoices: what they bill against what was counted, and each against its own inputs.

The transaction that writes an invoice also notes with each closed period of the account how much of it is billed then.
So lines must add up to that, and only what was counted since may wait for the next invoice. And every invoice must be
what its stored inputs give when they are billed again, in all but words.
"""

from collections.abc import Iterable, Sequence

import msgspec

from portal import usage
from portal.billing import store
from portal.billing.inputs import build_lines, inputs_from, period_of
from portal.billing.invoice_lines import rows_of, totals
from portal.billing.models import BillingAccount, Invoice, InvoiceLine
from portal.core.database import Tx
from portal.core.errors import PortalError
from portal.usage import Difference

WORDS = {"description"}


async def audit_invoice(tx: Tx, account_id: str, period: str) -> list[Difference]:
    """Return what does not agree about one account and period."""
    closed = await usage.list_closed_periods(tx, account_id)
    closed_period = next((candidate for candidate in closed if candidate.period == period), None)
    invoice = await store.find_invoice_of(tx, account_id, period)
    if closed_period is None:
        return _not_closed(account_id, period, await store.find_billing(tx, account_id), invoice)
    billed = await store.billed_units(tx, account_id, period)
    found = _compare(account_id, period, "units", closed_period.billed, billed)
    if invoice is not None:
        found += _billed_again(invoice, await store.list_lines(tx, account_id, [invoice.id]))
    return found


async def audit_numbers(tx: Tx) -> list[Difference]:
    """Return the years in which not every number that was given has its invoice."""
    return [
        Difference("", "", "", f"invoices of {year}", "numbers given", "invoices", numbers, invoices)
        for year, numbers, invoices in await store.list_number_gaps(tx)
    ]


def _not_closed(
    account_id: str, period: str, billing: BillingAccount | None, invoice: Invoice | None
) -> list[Difference]:
    """Accept a period that is not billed yet, or was over before billing began."""
    is_billed = billing is not None and billing.first_period <= period < billing.next_period
    if not is_billed and invoice is None:
        return []
    return [_difference(account_id, period, "closed periods", 1, 0)]


def _billed_again(invoice: Invoice, lines: Sequence[InvoiceLine]) -> list[Difference]:
    where = invoice.account_id, invoice.period
    try:
        inputs = inputs_from(invoice.inputs)
        again = build_lines(inputs)
    except (msgspec.ValidationError, PortalError, ValueError, ArithmeticError):
        return [_difference(*where, "inputs that can be billed", 1, 0)]
    sums, period = totals(inputs.currency, again), period_of(inputs)
    expected = [_without_words(line) for line in rows_of(again, invoice.account_id, invoice.id)]
    head = (inputs.period, period.start, period.end, inputs.currency, sums.subtotal, sums.tax, sums.total)
    stored = (invoice.period, invoice.period_start, invoice.period_end, invoice.currency)
    amounts = (invoice.subtotal, invoice.tax, invoice.total)
    return [
        *_compare(*where, "inputs as they were", 1, int(inputs.digest == invoice.digest)),
        *_compare(
            *where, "lines as billed again", len(expected), _equal(expected, [_without_words(line) for line in lines])
        ),
        *_compare(*where, "figures of its head", len(head), _equal(head, (*stored, *amounts))),
    ]


def _without_words(line: InvoiceLine) -> dict[str, object]:
    """Return a line without its words, which a later version may choose otherwise."""
    return line.model_dump(exclude=WORDS)


def _equal(expected: Sequence[object], found: Iterable[object]) -> int:
    """Return how many are the same, or how many there are, where there are too many."""
    actual = [*found]
    same = sum(left == right for left, right in zip(expected, actual, strict=False))
    return same if len(actual) <= len(expected) else len(actual)


def _compare(account_id: str, period: str, measure: str, expected: int, found: int) -> list[Difference]:
    return [] if expected == found else [_difference(account_id, period, measure, expected, found)]


def _difference(account_id: str, period: str, measure: str, expected: int, found: int) -> Difference:
    return Difference(account_id, "", "", f"invoice {period}", "billing periods", measure, expected, found)
