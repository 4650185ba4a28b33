"""Billing periods: calendar months in the account's time zone."""

from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo


@dataclass(frozen=True, slots=True)
class Period:
    """A half-open stretch [start, end) in UTC; `name` is year and month in the account's zone."""

    name: str
    start: datetime
    end: datetime


def periods_around(instant: datetime, time_zone: str) -> tuple[Period, Period]:
    """The period that holds `instant` and the next one, so that a rollover needs no look-up."""
    zone = ZoneInfo(time_zone)
    local = instant.astimezone(zone)
    first = _month(local.year, local.month, zone)
    return first, _month(local.year + local.month // 12, local.month % 12 + 1, zone)


def period_named(name: str, time_zone: str) -> Period:
    """The period called YYYY-MM. Raises ValueError for another form."""
    year, month = name.split("-")
    return _month(int(year), int(month), ZoneInfo(time_zone))


def _month(year: int, month: int, zone: ZoneInfo) -> Period:
    start = datetime(year, month, 1, tzinfo=zone)
    end = datetime(year + month // 12, month % 12 + 1, 1, tzinfo=zone)
    return Period(f"{year:04d}-{month:02d}", start.astimezone(UTC), end.astimezone(UTC))
