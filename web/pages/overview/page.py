"""The overview: today against yesterday, where the quota is heading, keys to look at, what was done last."""

from datetime import timedelta
from typing import Any

from portal.core.actor import Permission
from web.pages.activity.describe_event import describe_event
from web.pages.framework import (
    DAILY_NAMES,
    NARROW,
    WIDE,
    Lines,
    Page,
    PageRequest,
    change,
    daily_steps,
    draw,
    last_days,
    local_day,
    midnight,
    parse_instant,
    percent,
)
from web.pages.keys.key_state import State
from web.pages.plan.forecast import describe_forecast

DAYS = 30
DAY = timedelta(days=1)


def variables(page_request: PageRequest) -> dict[str, Any]:
    today = local_day(page_request.now, page_request.zone)
    day, day_before = midnight(today, page_request.zone), midnight(today - DAY, page_request.zone)
    now = max(page_request.now, day + timedelta(minutes=1))
    start, end = last_days(DAYS, page_request.now, page_request.zone)
    return {
        "day": day.isoformat(),
        "now": now.isoformat(),
        "dayBefore": day_before.isoformat(),
        "sameTime": (day_before + (now - day)).isoformat(),
        "from": start.isoformat(),
        "to": end.isoformat(),
        "timeZone": page_request.zone,
        "withActivity": page_request.visitor.actor.may(Permission.AUDIT_READ),
    }


def view(page_request: PageRequest, data: dict[str, Any]) -> dict[str, Any]:
    today, quota = data["today"]["totals"], data["quota"]
    steps = daily_steps(data["month"]["points"], page_request.zone)
    return {
        "is_empty": not data["keys"]["nodes"],
        "change": change(today["calls"], data["yesterday"]["totals"]["calls"]),
        "denied_share": percent(today["denied"], today["calls"]),
        "denied_before": percent(data["yesterday"]["totals"]["denied"], data["yesterday"]["totals"]["calls"]),
        "denials": [group["key"] for group in data["today"]["groups"] if group["key"] != "VALID"],
        "quota_left": percent(quota["remaining"], quota["limit"]) if quota["limit"] else None,
        "expected": describe_forecast(quota, page_request.now),
        "drawings": [draw(steps, DAILY_NAMES, shape, Lines(_pace(quota))) for shape in (WIDE, NARROW)],
        "attention": [{**item, "state": _state(item)} for item in data["keysNeedingAttention"]],
        "activity": [describe_event(event) for event in data["auditEvents"]["nodes"]] if "auditEvents" in data else [],
    }


def _state(item: dict[str, Any]) -> State:
    texts = {
        "EXPIRES_SOON": State("warn", "Expires soon"),
        "RATE_LIMITED": State("bad", "Over a limit"),
        "UNUSED": State("idle", "Unused for 90 days"),
    }
    return texts[item["reason"]]


def _pace(quota: dict[str, Any]) -> float | None:
    """Return the calls a day that would use up the quota exactly at the end of its period."""
    if not quota["limit"]:
        return None
    length = parse_instant(quota["periodEnd"]) - parse_instant(quota["periodStart"])
    return float(quota["limit"]) / (length / DAY)


PAGE = Page("/", "overview/page", variables, view)
