"""Billing periods (calendar months in the account's time zone), and where a quota is heading."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

CLOCKS_APART = timedelta(hours=2)
"""How far the clock of a process that uses the periods may be behind the clock of the one that computed them."""


@dataclass(frozen=True, slots=True)
class Period:
    """A half-open stretch [start, end) in UTC; `name` is year and month in the account's zone."""

    name: str
    start: datetime
    end: datetime


def periods_around(instant: datetime, time_zone: str) -> tuple[Period, Period]:
    """Return the period that holds `instant` and the next one, so that a rollover needs no look-up."""
    zone = ZoneInfo(time_zone)
    local = instant.astimezone(zone)
    first = _month(local.year, local.month, zone)
    return first, _month(local.year + local.month // 12, local.month % 12 + 1, zone)


def periods_near(instant: datetime, time_zone: str) -> tuple[Period, ...]:
    """Return the same, preceded by the previous period for its first two hours, for a process whose clock is behind."""
    earlier, current = periods_around(instant - CLOCKS_APART, time_zone)
    if instant < earlier.end:
        return earlier, current
    return earlier, current, periods_around(current.start, time_zone)[1]


def period_named(name: str, time_zone: str) -> Period:
    """Return the period called YYYY-MM. Raises ValueError for another form."""
    year, month = name.split("-")
    return _month(int(year), int(month), ZoneInfo(time_zone))


def _month(year: int, month: int, zone: ZoneInfo) -> Period:
    start = datetime(year, month, 1, tzinfo=zone)
    end = datetime(year + month // 12, month % 12 + 1, 1, tzinfo=zone)
    return Period(f"{year:04d}-{month:02d}", start.astimezone(UTC), end.astimezone(UTC))


@dataclass(frozen=True, slots=True)
class Pace:
    """`units` used in the last `seconds`."""

    units: int
    seconds: int


@dataclass(frozen=True, slots=True)
class Forecast:
    """`used` by the period's end, and when the quota ends (None: not within the period), if the pace stays."""

    used: int
    runs_out_at: datetime | None


def forecast(used: int, limit: int | None, pace: Pace, now: datetime, period: Period) -> Forecast:
    """Extrapolate in whole units and seconds. A quota that is used up ends now."""
    left = max(0, int((period.end - now).total_seconds()))
    expected = used + pace.units * left // max(1, pace.seconds)
    if limit is None or expected < limit:
        return Forecast(expected, None)
    missing = max(0, limit - used)
    wait = timedelta(seconds=missing * max(1, pace.seconds) // max(1, pace.units))
    return Forecast(expected, min(now + wait, period.end))
