"""Ranges of whole days and hours in a time zone. Pure."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo


def midnight(day: date, zone: str) -> datetime:
    """Return the start of this day in the zone, in UTC."""
    return datetime.combine(day, time(), ZoneInfo(zone)).astimezone(UTC)


def local_day(instant: datetime, zone: str) -> date:
    """Return the date of an instant in the zone."""
    return instant.astimezone(ZoneInfo(zone)).date()


def last_days(count: int, now: datetime, zone: str) -> tuple[datetime, datetime]:
    """Return the last `count` days including today, up to the end of today."""
    today = local_day(now, zone)
    return midnight(today - timedelta(days=count - 1), zone), midnight(today + timedelta(days=1), zone)


def last_hours(count: int, now: datetime) -> tuple[datetime, datetime]:
    """Return the last `count` hours, the running one included."""
    end = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    return end - timedelta(hours=count), end
