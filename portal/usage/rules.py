"""Pure arithmetic of usage: months of partitions, steps of a series, the period before another."""

from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from portal.core.errors import Invalid

MAX_POINTS = 1500
MINUTES_SPAN = timedelta(hours=24)
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
BUCKET_ORIGIN = f"'{EARLIEST:%Y-%m-%d %H:%M:%S}+00'"
"""EARLIEST as an SQL literal: every bucket of `date_bin` starts a whole number of its sizes after it."""
LATEST = datetime(2200, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
QUARTER = timedelta(minutes=15)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


class Granularity(StrEnum):
    MINUTE = "minute"
    HOUR = "hour"
    DAY = "day"
    MONTH = "month"


def month_of(instant: datetime) -> datetime:
    """Return the first instant of the month in UTC that the instant lies in."""
    return instant.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def months_from(month: datetime, offset: int) -> datetime:
    """Return `month` moved by `offset` months."""
    number = month.year * 12 + month.month - 1 + offset
    return month.replace(year=number // 12, month=number % 12 + 1)


def partition_name(table: str, month: datetime) -> str:
    """Return the name of the table's partition for a month, like usage_days_2026_11."""
    return f"{table}_{month:%Y_%m}"


def parse_zone(name: str) -> ZoneInfo:
    """Return the time zone of an IANA name. Raises Invalid when there is none."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise Invalid(
            f"There is no time zone {name[:60]!r}.", hint="Name one like Europe/Berlin.", path=("timeZone",)
        ) from None


def aligned_range(start: datetime, end: datetime, granularity: Granularity) -> tuple[datetime, datetime]:
    """Return the range in UTC, widened to the borders of the smallest buckets that serve it.

    Raises Invalid for a range that cannot be served.
    """
    start, end = check_range(start, end)
    if granularity is Granularity.MINUTE and end - start > MINUTES_SPAN:
        raise Invalid("Minutes are shown for 24 hours at most.", hint="Ask for HOUR or DAY.", path=("granularity",))
    size = MINUTE if granularity is Granularity.MINUTE else QUARTER
    return floor_to(start, size), ceil_to(end, size)


def check_range(start: datetime, end: datetime) -> tuple[datetime, datetime]:
    """Return the range in UTC. Raises Invalid unless it is one, between 2000 and 2200."""
    if start.tzinfo is None or end.tzinfo is None:
        raise Invalid("A time needs its offset.", hint="Write it like 2026-11-01T00:00:00Z.", path=("from",))
    if not EARLIEST <= start <= LATEST or not EARLIEST <= end <= LATEST:
        raise Invalid(f"Times lie between the years {EARLIEST.year} and {LATEST.year}.", path=("from",))
    if start >= end:
        raise Invalid("`from` must be before `to`.", path=("from",))
    return start.astimezone(UTC), end.astimezone(UTC)


def step_starts(start: datetime, end: datetime, granularity: Granularity, zone: ZoneInfo) -> list[datetime]:
    """Return where each step of [start, end) begins, in UTC: `start` itself, then every border of the local calendar.

    So the first and the last step may be short, and a local day has 23 to 25 hours. Raises Invalid above MAX_POINTS.
    """
    starts = [start]
    for border in _borders(start, granularity, zone):
        if border >= end:
            return starts
        if len(starts) == MAX_POINTS:
            break
        starts.append(border)
    raise Invalid(
        f"This would be more than {MAX_POINTS} points.",
        hint="Ask for a shorter time or a coarser granularity.",
        path=("granularity",),
    )


def range_before(start: datetime, end: datetime, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Return the range of equal length that ends at `start`.

    Its length is counted in months where the range is made of whole local months, in days where of whole local days, so
    that neither February nor a clock change spoils the comparison; else in hours.
    """
    first, last = (instant.astimezone(zone).replace(tzinfo=None) for instant in (start, end))
    if first.time() == last.time() == time():
        if first.day == last.day == 1:
            months = (last.year - first.year) * 12 + last.month - first.month
            return _local(months_from(first, -months), zone), start
        return _local(first - (last - first), zone), start
    return start - (end - start), start


def _local(naive: datetime, zone: ZoneInfo) -> datetime:
    return naive.replace(tzinfo=zone).astimezone(UTC)


def floor_to(instant: datetime, size: timedelta) -> datetime:
    """Return the last multiple of `size`, counted in UTC, that is not after the instant."""
    instant = instant.astimezone(UTC)
    return instant - (instant - EARLIEST) % size


def ceil_to(instant: datetime, size: timedelta) -> datetime:
    """Return the first multiple of `size`, counted in UTC, that is not before the instant."""
    floor = floor_to(instant, size)
    return floor if floor == instant else floor + size


def _borders(start: datetime, granularity: Granularity, zone: ZoneInfo) -> Iterator[datetime]:
    after = _BORDER_AFTER[granularity]
    border = start
    while True:
        border = after(border, zone)
        yield border


def _minute_after(instant: datetime, _: ZoneInfo) -> datetime:
    return instant + MINUTE


def _hour_after(instant: datetime, zone: ZoneInfo) -> datetime:
    """Return the next full local hour, or the end of the hour that a shift by half an hour breaks off."""
    candidate = instant + HOUR - _since_hour(instant, zone)
    earlier = candidate - _since_hour(candidate, zone)
    return earlier if earlier > instant and not _since_hour(earlier, zone) else candidate


def _day_after(instant: datetime, zone: ZoneInfo) -> datetime:
    """Return the next local midnight, or the first instant of a day that has none."""
    day = instant.astimezone(zone).date() + DAY
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)


def _month_after(instant: datetime, zone: ZoneInfo) -> datetime:
    month = months_from(instant.astimezone(zone).replace(day=1), 1)
    return datetime(month.year, month.month, 1, tzinfo=zone).astimezone(UTC)


def _since_hour(instant: datetime, zone: ZoneInfo) -> timedelta:
    local = instant.astimezone(zone)
    return timedelta(minutes=local.minute, seconds=local.second)


_BORDER_AFTER = {
    Granularity.MINUTE: _minute_after,
    Granularity.HOUR: _hour_after,
    Granularity.DAY: _day_after,
    Granularity.MONTH: _month_after,
}
