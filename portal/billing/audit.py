"""Audit accounts' invoices: what they bill against what was counted, and each against its own inputs.

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


async def audit_invoices(tx: Tx, account_ids: Sequence[str], period: str) -> list[Difference]:
    """Return what does not agree about some accounts and a period."""
    closed = await usage.list_closed_in(tx, account_ids, period)
    invoices = {invoice.account_id: invoice for invoice in await store.list_invoices_of(tx, account_ids, period)}
    billings = {billing.account_id: billing for billing in await store.list_billings(tx, account_ids)}
    billed = await store.list_billed_units(tx, account_ids, period)
    lines: dict[str, list[InvoiceLine]] = {invoice.id: [] for invoice in invoices.values()}
    for line in await store.list_lines_of(tx, account_ids, [*lines]):
        lines[line.invoice_id].append(line)
    found: list[Difference] = []
    for account_id in account_ids:
        invoice = invoices.get(account_id)
        if account_id not in closed:
            found += _not_closed(account_id, period, billings.get(account_id), invoice)
            continue
        found += _compare(account_id, period, "units", closed[account_id].billed, billed.get(account_id, 0))
        if invoice is not None:
            found += _billed_again(invoice, lines[invoice.id])
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
