"""What the usage pages show, as their addresses carry it: a range of time in a stated zone, and filters."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from portal.core.environments import ENVIRONMENTS
from web.pages.framework import PageRequest, last_days, last_hours, local_day, midnight

PRESETS = {"24h": "24 h", "7d": "7 d", "30d": "30 d", "custom": "Custom"}
DEFAULT = "30d"
MAX_DAYS = 366
HOURLY_DAYS = 8
DAILY_DAYS = 92
FILTERS = ("key", "endpoint", "outcome", "environment")
NO_ENDPOINT = "-"  # the address cannot tell an empty filter from none
OUTCOMES = (
    *("VALID", "RATE_LIMITED", "QUOTA_EXCEEDED", "INSUFFICIENT_SCOPE", "IP_NOT_ALLOWED", "DISABLED", "REVOKED"),
    *("EXPIRED", "ACCOUNT_SUSPENDED"),
)


@dataclass(frozen=True, slots=True)
class Window:
    """[start, end) and the first and last day that the date fields show. `problem` says why dates were refused."""

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


def parse_window(preset: str, first: str, last: str, now: datetime, zone: str) -> Window:
    """Return the range of an address; one that makes no sense falls back to 30 days and says why. Pure."""
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


def read_filters(page_request: PageRequest) -> dict[str, str]:
    """Return range and filters of the address; an unknown value counts as absent."""
    preset, environment = page_request.query("range"), page_request.query("environment")
    return {
        "range": preset if preset in PRESETS else DEFAULT,
        "from": page_request.query("from"),
        "to": page_request.query("to"),
        "key": page_request.query("key"),
        "endpoint": page_request.query("endpoint"),
        "outcome": page_request.query("outcome"),
        "environment": environment if environment in ENVIRONMENTS else "",
    }


def window_of(page_request: PageRequest) -> Window:
    """Return the range that this request asks for."""
    return parse_window(
        page_request.query("range"),
        page_request.query("from"),
        page_request.query("to"),
        page_request.now,
        page_request.zone,
    )


def address(path: str, filters: dict[str, str], **changed: str) -> str:
    """Return the page's address with these choices."""
    parameters = {name: value for name, value in {**filters, **changed}.items() if value}
    if parameters.get("range") != "custom":
        parameters.pop("from", None)
        parameters.pop("to", None)
    return f"{path}?{urlencode(parameters)}"


def filter_of(filters: dict[str, str]) -> dict[str, str] | None:
    """Return the GraphQL filter, None for none."""
    fields = {
        "keyId": filters["key"],
        "resource": filters["endpoint"],
        "outcome": filters["outcome"],
        "environment": filters["environment"].upper(),
    }
    parameters = {name: value for name, value in fields.items() if value}
    if filters["endpoint"] == NO_ENDPOINT:
        parameters["resource"] = ""
    return parameters or None


def is_filtered(filters: dict[str, str]) -> bool:
    """Return whether anything but the range is chosen."""
    return any(filters[name] for name in FILTERS)


def shared_view(filters: dict[str, str], window: Window, data: dict[str, Any]) -> dict[str, Any]:
    """Return what the filters' form needs."""
    return {
        "filters": filters,
        "window": window,
        "presets": PRESETS,
        "outcomes": OUTCOMES,
        "no_endpoint": NO_ENDPOINT,
        "key_names": {key["id"]: key["name"] for key in data["keys"]["nodes"]},
        "is_filtered": is_filtered(filters),
    }
