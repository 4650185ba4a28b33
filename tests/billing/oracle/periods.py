"""Periods and days of an account in its time zones."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

STEP = timedelta(hours=6)
DAY = timedelta(days=1)
MIN_LENGTH = timedelta(days=7)


@dataclass(frozen=True)
class Day:
    """A date of a period, from its first instant to that of the next one."""

    date: date
    start: datetime
    end: datetime


@dataclass(frozen=True)
class Period:
    """A month of an account; half-open."""

    zone: str
    days: tuple[Day, ...]

    @property
    def name(self) -> str:
        """Return the month in which it ends."""
        return self.days[-1].date.strftime("%Y-%m")

    @property
    def start(self) -> datetime:
        return self.days[0].start

    @property
    def end(self) -> datetime:
        return self.days[-1].end

    def position(self, instant: datetime) -> int:
        """Return which of the days an instant of the period lies in, from 0."""
        return next(index for index, day in enumerate(self.days) if day.start <= instant < day.end)


@cache
def begin_of(zone: str, wanted: date) -> datetime:
    """Return the first instant whose local date is `wanted` or later."""
    middle = datetime(wanted.year, wanted.month, wanted.day, tzinfo=UTC)
    pieces = _constant_pieces(zone, middle - 5 * STEP, middle + 5 * STEP)
    candidates = [max(start, middle - offset) for start, end, offset in pieces if middle - offset < end]
    return min(candidates)


def first_period(opened_at: datetime, zone: str) -> Period:
    """Return the calendar month that an account is opened in."""
    today = opened_at.astimezone(ZoneInfo(zone)).date()
    while begin_of(zone, today + DAY) <= opened_at:  # clocks that went back over midnight: that day has begun already
        today += DAY
    start = begin_of(zone, today.replace(day=1))
    return _period(zone, start, _next_month(zone, today), after=today.replace(day=1) - DAY)


def next_period(last: Period, zone: str) -> Period:
    """Return the period that begins where another ended: to the first month end at least seven days later."""
    month = last.days[-1].date.replace(day=1) - 2 * DAY
    end = _next_month(zone, month)
    while end - last.end < MIN_LENGTH:
        month = (month.replace(day=1) + 32 * DAY).replace(day=1)
        end = _next_month(zone, month)
    return _period(zone, last.end, end, after=last.days[-1].date)


def _next_month(zone: str, day: date) -> datetime:
    return begin_of(zone, (day.replace(day=1) + 32 * DAY).replace(day=1))


@cache
def _period(zone: str, start: datetime, end: datetime, after: date) -> Period:
    dates = []
    candidate = after + DAY
    while begin_of(zone, candidate) < end:
        begin, over = begin_of(zone, candidate), begin_of(zone, candidate + DAY)
        if begin < over and over > start:  # skipped dates begin with the next one
            dates.append(candidate)
        candidate += DAY
    starts = [start, *(begin_of(zone, day) for day in dates[1:]), end]
    return Period(zone, tuple(Day(day, starts[i], starts[i + 1]) for i, day in enumerate(dates)))


def _constant_pieces(zone: str, low: datetime, high: datetime) -> list[tuple[datetime, datetime, timedelta]]:
    """Cut a span of time where the zone's offset changes (at most once in six hours)."""
    pieces = []
    start, at = low, low
    while at < high:
        if _offset(zone, at) != _offset(zone, at + STEP):
            before, after = at, at + STEP
            while after - before > timedelta(seconds=1):
                middle = before + timedelta(seconds=(after - before) // timedelta(seconds=1) // 2)
                before, after = (middle, after) if _offset(zone, middle) == _offset(zone, at) else (before, middle)
            pieces.append((start, after, _offset(zone, at)))
            start = after
        at += STEP
    return [*pieces, (start, high, _offset(zone, start))]


@cache
def _offset(zone: str, instant: datetime) -> timedelta:
    offset = instant.astimezone(ZoneInfo(zone)).utcoffset()
    assert offset is not None
    return offset
