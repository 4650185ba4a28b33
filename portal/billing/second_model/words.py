"""Days, months and prices as the lines of an invoice say them."""

from calendar import month_name
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from decimal import Decimal

from portal import plans
from portal.core.money import Money

INSTANT = timedelta(microseconds=1)


def month_in_words(period: str) -> str:
    year, month = period.split("-")
    return f"{month_name[int(month)]} {year}"


def days_in_words(first: date, last: date) -> str:
    """Return "1 to 30 November 2026", both counted; a single day alone."""
    whole = f"{last.day} {month_name[last.month]} {last.year}"
    return whole if first == last else f"{first.day} to {whole}"


def spans_in_words(spans: Iterable[tuple[datetime, datetime]], time_zone: str) -> str:
    """Return the days of spans: "1 to 4 and 12 to 30 November 2026"."""
    days = [(plans.day_of(start, time_zone), plans.day_of(end - INSTANT, time_zone)) for start, end in spans]
    *earlier, last = [(max(first, last.replace(day=1)), last) for first, last in days]
    brief = [str(a.day) if a == b else f"{a.day} to {b.day}" for a, b in earlier]
    return f"{', '.join(brief)} and {days_in_words(*last)}" if brief else days_in_words(*last)


def price_in_words(price: Decimal, currency: str) -> str:
    """Return a price in minor units, or with all its decimals where it has more."""
    rounded = Money(price, currency).rounded().amount
    return f"{rounded if rounded == price else price.normalize():f}"
