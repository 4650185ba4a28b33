"""Which stretch of time the usage page shows: presets or two days, in a stated time zone. Pure."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from web.pages.framework.date_ranges import last_days, last_hours, local_day, midnight

PRESETS = {"24h": "24 h", "7d": "7 d", "30d": "30 d", "custom": "Custom"}
DEFAULT = "30d"
MAX_DAYS = 366
HOURLY_DAYS = 8
DAILY_DAYS = 92


@dataclass(frozen=True, slots=True)
class Window:
    """[start, end) and the first and last day that the date fields show. `problem` tells why dates were not taken."""

    preset: str
    start: datetime
    end: datetime
    first_day: date
    last_day: date
    problem: str | None = None

    @property
    def granularity(self) -> str:
        length = self.end - self.start
        if length <= timedelta(days=HOURLY_DAYS):
            return "HOUR"
        return "DAY" if length <= timedelta(days=DAILY_DAYS) else "MONTH"


def chosen_window(preset: str, first: str, last: str, now: datetime, zone: str) -> Window:
    """What the address asks for; a range that makes no sense falls back to 30 days and says why."""
    if preset == "24h":
        return _window(preset, last_hours(24, now), zone)
    if preset == "7d":
        return _window(preset, last_hours(7 * 24, now), zone)
    if preset != "custom":
        return _window(DEFAULT, last_days(30, now, zone), zone)
    default = _window("custom", last_days(30, now, zone), zone)
    if not first and not last:
        return default
    try:
        first_day, last_day = date.fromisoformat(first), date.fromisoformat(last)
    except ValueError:
        return _refused(default, "Choose both days of the range.")
    if first_day > last_day:
        return _refused(default, "The first day is after the last one.")
    if (last_day - first_day).days >= MAX_DAYS or first_day.year < 2000 or last_day > local_day(now, zone):
        return _refused(default, f"Choose at most {MAX_DAYS} days, up to today.")
    return Window(
        "custom", midnight(first_day, zone), midnight(last_day + timedelta(days=1), zone), first_day, last_day
    )


def _window(preset: str, ends: tuple[datetime, datetime], zone: str) -> Window:
    start, end = ends
    return Window(preset, start, end, local_day(start, zone), local_day(end - timedelta(seconds=1), zone))


def _refused(window: Window, problem: str) -> Window:
    return Window("custom", window.start, window.end, window.first_day, window.last_day, problem)
