"""The list's filters, from the address and back, and a week of use beside each key."""

from functools import partial
from typing import Any
from urllib.parse import urlencode

from portal.core.environments import ENVIRONMENTS
from web.pages.framework.chart import spark
from web.pages.framework.date_ranges import last_days
from web.pages.framework.page import Page, PageRequest
from web.pages.keys.key_state import key_state

PAGE_SIZE = 25
STATUSES = ("active", "paused", "expired", "revoked")


def filters(page_request: PageRequest) -> dict[str, str]:
    """What the address says; anything unknown counts as not said."""
    environment, status = page_request.query("environment"), page_request.query("status")
    return {
        "q": page_request.query("q")[:100],
        "environment": environment if environment in ENVIRONMENTS else "",
        "status": status if status in STATUSES else "",
    }


def address(known: dict[str, str], **changed: str) -> str:
    """The list's address with these filters; changing a filter starts at the first page again."""
    said = {name: value for name, value in {**known, **changed}.items() if value}
    return f"/keys?{urlencode(said)}" if said else "/keys"


def variables(page_request: PageRequest) -> dict[str, Any]:
    known = filters(page_request)
    start, end = last_days(7, page_request.now, page_request.zone)
    return {
        "first": PAGE_SIZE,
        "after": page_request.query("after") or None,
        "search": known["q"] or None,
        "environment": known["environment"].upper() or None,
        "status": known["status"].upper() or None,
        "from": start.isoformat(),
        "to": end.isoformat(),
        "timeZone": page_request.zone,
    }


def view(page_request: PageRequest, data: dict[str, Any]) -> dict[str, Any]:
    known = filters(page_request)
    return {
        "filters": known,
        "is_filtered": any(known.values()),
        "is_empty": not data["keys"]["nodes"] and not any(known.values()),
        "is_first_page": not page_request.query("after"),
        "environments": ENVIRONMENTS,
        "statuses": STATUSES,
        "address": partial(address, known),
        "state": partial(key_state, now=page_request.now),
        "has_other_use": any(group["key"] == "other" for point in data["usage"]["points"] for group in point["groups"]),
        "week": {key["id"]: spark(_week(data, key["id"])) for key in data["keys"]["nodes"]},
    }


def _week(data: dict[str, Any], key_id: str) -> list[int]:
    return [
        next((group["totals"]["calls"] for group in point["groups"] if group["key"] == key_id), 0)
        for point in data["usage"]["points"]
    ]


PAGE = Page("/keys", "keys/list", variables, view)
