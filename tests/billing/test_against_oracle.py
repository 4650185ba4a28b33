"""On random histories the product decides, bounds and charges what the slow calculation says, to the minor unit."""

import os

import pytest

from tests.billing.oracle.course import Course
from tests.billing.oracle.generate import random_history
from tests.billing.oracle.invoices import Invoice, Line, invoices_of
from tests.billing.oracle.money import to_minor
from tests.billing.oracle.state import Month
from tests.billing.played_history import PLAN_REQUESTS, Played, Told

COUNT = 10_000 if os.environ.get("PORTAL_FAULTS") == "long" else 200
CHUNK = 20


@pytest.mark.parametrize("first", range(0, COUNT, CHUNK))
def test_random_histories(first: int) -> None:
    for seed in range(first, first + CHUNK):
        history = random_history(seed)
        course = Course(history)
        assert Played(history, course).told() == told(course), f"seed {seed}"


def told(course: Course) -> Told:
    """Return what the slow calculation says, in the words in which `Played` answers."""
    decided = [one for one in course.decisions if isinstance(one.request, PLAN_REQUESTS)]
    return {
        "decisions": [one.outcome for one in decided],
        "bounds": [one.bound for one in decided],
        "periods": [_month_told(month, is_over=month is not course.month) for month in course.months],
        "invoices": [_invoice_told(invoice) for invoice in invoices_of(course.history, course)],
    }


def _month_told(month: Month, *, is_over: bool) -> Told:
    period, ahead = month.period, month.begins_with
    return {
        "name": period.name,
        "ends": (period.start, period.end),
        "days": [(day.date, day.start) for day in period.days],
        "fee ahead": None if ahead is None else to_minor(ahead.fee, ahead.currency),
        "stretches": {(one.plan, one.version): days for one, days in month.stretches().items()} if is_over else {},
        "fees": [(line.version.plan, line.amount) for line in month.fees if line.amount],
    }


def _invoice_told(invoice: Invoice) -> Told:
    """Return an invoice as it is compared: lines of 0 left out, bounds added to what they bound."""
    lines: dict[tuple[object, ...], int] = {}
    for line in invoice.lines:
        key = (*_named(line), line.tax_percent)
        lines[key] = lines.get(key, 0) + line.amount
    for rate, rest in invoice.rest:
        lines["carried_over", "", "", None, rate] = -rest
    return {"lines": {key: amount for key, amount in lines.items() if amount}, "net": invoice.net, "tax": invoice.tax}


def _named(line: Line) -> tuple[str, str, str, int | None]:
    names = {"upgrade": "change", "credit": "change", "fee": "ahead"}
    if line.kind == "carried over":
        return "carried_in", "", "", None
    return names.get(line.kind, line.kind), line.period, line.plan, line.version
