"""Billing periods of an account and their days. Pure.

A period is a calendar month of a time zone, half-open. Periods follow one another without a gap, whatever the zone
does and whichever zone the account chooses next:

- A period begins exactly where the last one ended. It ends at the first end of a month of its own zone that is at
  least MIN_PERIOD later, so none is shorter than 26 days or longer than 33, and it bears that month's name.
- A day begins at the first instant that has its date. A date that the zone skipped is no day.
- The days of a period are the dates of its month. What is left in it of a date of the month before belongs to its
  first day, which is longer then; a date that was over when the period began is not among them.

A period is stored as its name, zone and ends, which are never derived again.
"""

from bisect import bisect_right
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)
MIN_PERIOD = timedelta(days=7)
"""A change of zone never makes a period of the hours between two ends of the same month."""


@dataclass(frozen=True, slots=True)
class AccountPeriod:
    """[start, end) in UTC; `name` is YYYY-MM, the month of its days in `time_zone`."""

    name: str
    time_zone: str
    start: datetime
    end: datetime

    @property
    def days(self) -> tuple[date, ...]:
        """Return its days in order: those that counts and shares are over."""
        return _days(self.name, self.time_zone, self.start)

    def day_number(self, instant: datetime) -> int:
        """Return which of `days` an instant lies in, from 0. An instant outside counts as the nearest day."""
        return max(0, bisect_right(self.days, day_of(instant, self.time_zone)) - 1)

    def start_of(self, number: int) -> datetime:
        """Return the instant at which a day begins; for the number after the last day: the period's end."""
        if number == 0:
            return self.start
        return self.end if number == len(self.days) else start_of_day(self.days[number], self.time_zone)


def first_period(opened_at: datetime, time_zone: str) -> AccountPeriod:
    """Return the period of an account that is opened at this instant: the whole month, though the account is newer."""
    return month_period(f"{day_of(opened_at, time_zone):%Y-%m}", time_zone)


def next_period(previous: AccountPeriod, time_zone: str) -> AccountPeriod:
    """Return the period that follows, in its own zone."""
    name = previous.name
    while (end := _month_end(name, time_zone)) < previous.end + MIN_PERIOD:
        name = _next_name(name)
    return AccountPeriod(name, time_zone, previous.end, end)


def month_period(name: str, time_zone: str) -> AccountPeriod:
    """Return the whole month of that name, of an account whose zone never changed."""
    start = start_of_day(_first_date(name), time_zone)
    return AccountPeriod(name, time_zone, start, _month_end(name, time_zone))


def day_of(instant: datetime, time_zone: str) -> date:
    """Return the day that an instant lies in.

    It is the date of the instant, save where clocks are put back across midnight: the hour that has the earlier date
    once more belongs to the day that had begun.
    """
    day = instant.astimezone(ZoneInfo(time_zone)).date()
    while start_of_day(day + DAY, time_zone) <= instant:
        day += DAY
    return day


def start_of_day(day: date, time_zone: str) -> datetime:
    """Return, in UTC, the first instant whose date is `day`; of a skipped date that of the next one there is."""
    zone = ZoneInfo(time_zone)
    midnight = datetime.combine(day, time(), zone)
    found = midnight.astimezone(UTC)
    if found.astimezone(zone).date() == day and found.astimezone(zone).time() == time():
        return found
    # Midnight was skipped: the day begins where the clocks were put forward, which is between the two readings.
    before = midnight.replace(fold=1).astimezone(UTC) - SECOND
    while found - before > SECOND:
        between = before + (found - before) // (2 * SECOND) * SECOND
        if between.astimezone(zone).date() >= day:
            found = between
        else:
            before = between
    return found


@lru_cache(maxsize=1024)
def _days(name: str, time_zone: str, start: datetime) -> tuple[date, ...]:
    days = []
    day, after = _first_date(name), _first_date(_next_name(name))
    while day < after:
        ends = start_of_day(day + DAY, time_zone)
        if start_of_day(day, time_zone) < ends and start < ends:
            days.append(day)
        day += DAY
    return tuple(days)


def _month_end(name: str, time_zone: str) -> datetime:
    return start_of_day(_first_date(_next_name(name)), time_zone)


def _first_date(name: str) -> date:
    year, month = name.split("-")
    return date(int(year), int(month), 1)


def _next_name(name: str) -> str:
    return f"{_first_date(name) + timedelta(days=31):%Y-%m}"
