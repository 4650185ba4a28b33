"""The usage page: filters from the address, the chart's series, the table beside it."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from web.pages.framework import (
    MONTHS,
    NARROW,
    WIDE,
    Lines,
    Page,
    PageRequest,
    Step,
    change,
    clock,
    day,
    draw,
    parse_instant,
    percent,
    zone_name,
)
from web.pages.usage.filters import (
    NO_ENDPOINT,
    Window,
    address,
    filter_of,
    is_filtered,
    read_filters,
    shared_view,
    window_of,
)

PATH = "/usage"
GROUPS = {"": "Nothing", "key": "Key", "endpoint": "Endpoint", "outcome": "Outcome", "environment": "Environment"}
_GROUP_BY = {"key": "KEY", "endpoint": "RESOURCE", "outcome": "OUTCOME", "environment": "ENVIRONMENT"}
MAX_SERIES = 5
OTHERS = "s-others"


@dataclass(frozen=True, slots=True)
class Series:
    """One colour of the chart. `tone` is its class; `key` what the address filters by."""

    key: str
    label: str
    tone: str


def read_choices(page_request: PageRequest) -> dict[str, str]:
    group = page_request.query("group")
    return {**read_filters(page_request), "group": group if group in GROUPS else ""}


def variables(page_request: PageRequest) -> dict[str, Any]:
    filters, window = read_choices(page_request), window_of(page_request)
    return {
        "from": window.start.isoformat(),
        "to": window.end.isoformat(),
        "granularity": window.granularity,
        "timeZone": page_request.zone,
        "groupBy": _GROUP_BY.get(filters["group"]),
        "filter": filter_of(filters),
    }


def view(page_request: PageRequest, data: dict[str, Any]) -> dict[str, Any]:
    filters, window = read_choices(page_request), window_of(page_request)
    usage, previous = data["usage"], data["usage"]["previous"]
    series = _series(filters["group"], usage["groups"])
    steps = [_step(point, series, window, page_request.zone) for point in usage["points"]]
    pace = None if filters["group"] or is_filtered(filters) else _pace(data["quota"], window)
    names = [item.label for item in series]
    before = _before(usage, previous)
    requests = {name: value for name, value in filters.items() if name != "group"}
    return {
        **shared_view(filters, window, data),
        "groups": GROUPS,
        "address": partial(address, PATH, filters),
        "requests": partial(address, f"{PATH}/requests", requests),
        "series": series,
        "steps": steps,
        "before": before,
        "before_stretch": _stretch(previous, page_request.zone),
        "drawings": [draw(steps, names, shape, Lines(pace, before)) for shape in (WIDE, NARROW)],
        "denials": _denials(data["outcomes"]["groups"]),
        "denied_share": percent(usage["totals"]["denied"], usage["totals"]["calls"]),
        "change": change(usage["totals"]["calls"], previous["totals"]["calls"]),
        "share": percent,
        "zone_name": zone_name(page_request.zone, page_request.now),
        "export": _export_fields(filters, window),
    }


def _export_fields(filters: dict[str, str], window: Window) -> dict[str, str]:
    """Hidden fields of the export's form: the range and filters that the page shows."""
    stretch = {"from": window.start.isoformat(), "to": window.end.isoformat()}
    fields = {name: filters[name] for name in ("key", "outcome", "environment") if filters[name]}
    if filters["endpoint"]:
        fields["resource"] = "" if filters["endpoint"] == NO_ENDPOINT else filters["endpoint"]
    return {**stretch, **fields}


def _before(usage: dict[str, Any], previous: dict[str, Any]) -> list[int]:
    """Return calls of the period before, step by step; it may have more or fewer steps. Empty without a call."""
    if not previous["totals"]["calls"]:
        return []
    calls = [point["totals"]["calls"] for point in previous["points"]]
    return (calls + [0] * len(usage["points"]))[: len(usage["points"])]


def _stretch(previous: dict[str, Any], zone: str) -> str:
    first, last = parse_instant(previous["from"]), parse_instant(previous["to"]) - timedelta(seconds=1)
    if last - first < timedelta(hours=25):
        end = parse_instant(previous["to"])
        return f"{day(first, zone)}, {clock(first, zone)} – {day(end, zone)}, {clock(end, zone)}"
    return f"{day(first, zone)} – {day(last, zone)}"


def _series(group: str, groups: list[dict[str, Any]]) -> list[Series]:
    if not group:
        return [Series("allowed", "allowed", "allowed"), Series("denied", "denied", "denied")]
    ranked = sorted(groups, key=lambda item: (-item["totals"]["calls"], item["key"]))
    first = [
        Series(item["key"], item["label"], _tone(group, item["key"], rank))
        for rank, item in enumerate(ranked[:MAX_SERIES])
    ]
    return [*first, Series("", "others", OTHERS)] if len(ranked) > MAX_SERIES else first


def _tone(group: str, key: str, rank: int) -> str:
    return "allowed" if group == "outcome" and key == "VALID" else f"s{rank}"


def _step(point: dict[str, Any], series: list[Series], window: Window, zone: str) -> Step:
    local = parse_instant(point["at"]).astimezone(ZoneInfo(zone))
    return Step(*_names(local, window), _values(point, series))


def _values(point: dict[str, Any], series: list[Series]) -> tuple[int, ...]:
    if series and series[0].key == "allowed" and series[0].tone == "allowed":
        return point["totals"]["allowed"], point["totals"]["denied"]
    calls = {group["key"]: group["totals"]["calls"] for group in point["groups"]}
    named = [calls.pop(item.key, 0) for item in series if item.tone != OTHERS]
    return (*named, sum(calls.values())) if series and series[-1].tone == OTHERS else tuple(named)


def _names(local: datetime, window: Window) -> tuple[str, str]:
    """Return what the step is called, and its label on the axis: midnights only where steps are hours of many days."""
    name = f"{local.day} {MONTHS[local.month - 1]}"
    if window.granularity == "MONTH":
        return f"{MONTHS[local.month - 1]} {local.year}", MONTHS[local.month - 1]
    if window.granularity == "DAY":
        return name, name
    is_long = (window.end - window.start).days > 2
    return f"{name}, {local:%H:%M}", (name if local.hour == 0 else "") if is_long else f"{local:%H:%M}"


def _denials(groups: list[dict[str, Any]]) -> list[dict[str, Any]]:
    denied = [{"code": group["key"], "calls": group["totals"]["calls"]} for group in groups if group["key"] != "VALID"]
    return sorted(denied, key=lambda item: (-item["calls"], item["code"]))


def _pace(quota: dict[str, Any], window: Window) -> float | None:
    """Return the calls a step that would use up the quota exactly at the end of its period."""
    if not quota["limit"] or window.granularity == "MONTH":
        return None
    length = (parse_instant(quota["periodEnd"]) - parse_instant(quota["periodStart"])).total_seconds()
    return float(quota["limit"]) / length * (3600 if window.granularity == "HOUR" else 86_400)


PAGE = Page(PATH, "usage/usage_page", variables, view)
