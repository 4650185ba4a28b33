"""The usage page: filters from the address, the chart's series, the table beside it."""

from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from web.chart import NARROW, WIDE, Step, draw
from web.formats import MONTHS, change, parse_instant, percent, zone_name
from web.page import Asked, Page
from web.pages.usage.window import DEFAULT, PRESETS, Window, chosen_window

GROUPS = {"": "Nothing", "key": "Key", "endpoint": "Endpoint", "outcome": "Outcome"}
_GROUP_BY = {"key": "KEY", "endpoint": "RESOURCE", "outcome": "OUTCOME"}
FILTERS = ("key", "endpoint", "outcome", "environment")
SERIES_MOST = 5
OTHERS = "s-others"
NO_ENDPOINT = "-"  # the address cannot tell an empty filter from none


@dataclass(frozen=True, slots=True)
class Series:
    """One colour of the chart. `tone` is its class; `key` what the address filters by."""

    key: str
    label: str
    tone: str


def chosen(asked: Asked) -> dict[str, str]:
    """Every choice of the page, as the address carries it."""
    group, preset = asked.query("group"), asked.query("range")
    environment = asked.query("environment")
    return {
        "range": preset if preset in PRESETS else DEFAULT,
        "from": asked.query("from"),
        "to": asked.query("to"),
        "group": group if group in GROUPS else "",
        "key": asked.query("key"),
        "endpoint": asked.query("endpoint"),
        "outcome": asked.query("outcome"),
        "environment": environment if environment in ("live", "test") else "",
    }


def address(known: dict[str, str], **changed: str) -> str:
    said = {name: value for name, value in {**known, **changed}.items() if value}
    if said.get("range") != "custom":
        said.pop("from", None)
        said.pop("to", None)
    return f"/usage?{urlencode(said)}"


def variables(asked: Asked) -> dict[str, Any]:
    known, window = chosen(asked), _window(asked)
    wanted = {
        "keyId": known["key"],
        "resource": known["endpoint"],
        "outcome": known["outcome"],
        "environment": known["environment"].upper(),
    }
    chosen_filter = {name: value for name, value in wanted.items() if value}
    if known["endpoint"] == NO_ENDPOINT:
        chosen_filter["resource"] = ""
    return {
        "from": window.start.isoformat(),
        "to": window.end.isoformat(),
        "before": window.before.isoformat(),
        "granularity": window.granularity,
        "timeZone": asked.zone,
        "groupBy": _GROUP_BY.get(known["group"]),
        "filter": chosen_filter or None,
    }


def view(asked: Asked, data: dict[str, Any]) -> dict[str, Any]:
    known, window = chosen(asked), _window(asked)
    series = _series(known["group"], data["usage"]["groups"])
    steps = [_step(point, series, window, asked.zone) for point in data["usage"]["points"]]
    pace = None if known["group"] or any(known[name] for name in FILTERS) else _pace(data["quota"], window)
    totals = data["usage"]["totals"]
    return {
        "known": known,
        "window": window,
        "presets": PRESETS,
        "groups": GROUPS,
        "address": partial(address, known),
        "series": series,
        "steps": steps,
        "drawings": [draw(steps, [one.label for one in series], shape, pace) for shape in (WIDE, NARROW)],
        "denials": _denials(data["outcomes"]["groups"]),
        "denied_share": percent(totals["denied"], totals["calls"]),
        "change": change(totals["calls"], data["previous"]["totals"]["calls"]),
        "share": percent,
        "zone_name": zone_name(asked.zone, asked.now),
        "no_endpoint": NO_ENDPOINT,
        "key_names": {key["id"]: key["name"] for key in data["keys"]["nodes"]},
        "is_filtered": any(known[name] for name in FILTERS),
    }


def _window(asked: Asked) -> Window:
    known = chosen(asked)
    return chosen_window(known["range"], known["from"], known["to"], asked.now, asked.zone)


def _series(group: str, groups: list[dict[str, Any]]) -> list[Series]:
    if not group:
        return [Series("allowed", "allowed", "allowed"), Series("denied", "denied", "denied")]
    ranked = sorted(groups, key=lambda one: (-one["totals"]["calls"], one["key"]))
    first = [
        Series(one["key"], one["label"], _tone(group, one["key"], rank))
        for rank, one in enumerate(ranked[:SERIES_MOST])
    ]
    return [*first, Series("", "others", OTHERS)] if len(ranked) > SERIES_MOST else first


def _tone(group: str, key: str, rank: int) -> str:
    return "allowed" if group == "outcome" and key == "VALID" else f"s{rank}"


def _step(point: dict[str, Any], series: list[Series], window: Window, zone: str) -> Step:
    local = parse_instant(point["at"]).astimezone(ZoneInfo(zone))
    return Step(*_names(local, window), _values(point, series))


def _values(point: dict[str, Any], series: list[Series]) -> tuple[int, ...]:
    if series and series[0].key == "allowed" and series[0].tone == "allowed":
        return point["totals"]["allowed"], point["totals"]["denied"]
    calls = {group["key"]: group["totals"]["calls"] for group in point["groups"]}
    named = [calls.pop(one.key, 0) for one in series if one.tone != OTHERS]
    return (*named, sum(calls.values())) if series and series[-1].tone == OTHERS else tuple(named)


def _names(local: datetime, window: Window) -> tuple[str, str]:
    """What the step is called, and its label on the axis: midnights only where a step is an hour of many days."""
    day = f"{local.day} {MONTHS[local.month - 1]}"
    if window.granularity == "MONTH":
        return f"{MONTHS[local.month - 1]} {local.year}", MONTHS[local.month - 1]
    if window.granularity == "DAY":
        return day, day
    is_long = (window.end - window.start).days > 2
    return f"{day}, {local:%H:%M}", (day if local.hour == 0 else "") if is_long else f"{local:%H:%M}"


def _denials(groups: list[dict[str, Any]]) -> list[dict[str, Any]]:
    denied = [{"code": group["key"], "calls": group["totals"]["calls"]} for group in groups if group["key"] != "VALID"]
    return sorted(denied, key=lambda one: (-one["calls"], one["code"]))


def _pace(quota: dict[str, Any], window: Window) -> float | None:
    """Calls a step that would use up the quota exactly at the end of its period."""
    if not quota["limit"] or window.granularity == "MONTH":
        return None
    length = (parse_instant(quota["periodEnd"]) - parse_instant(quota["periodStart"])).total_seconds()
    return float(quota["limit"]) / length * (3600 if window.granularity == "HOUR" else 86_400)


PAGE = Page("/usage", "usage/series", variables, view)
