"""The list's filters, from the address and back, and a week of use beside each key."""

from functools import partial
from typing import Any
from urllib.parse import urlencode

from portal.core.environments import ENVIRONMENTS
from web.pages.framework import Page, PageRequest, last_days, spark
from web.pages.keys.key_state import key_state

PAGE_SIZE = 25
STATUSES = ("active", "paused", "expired", "revoked")


def read_filters(page_request: PageRequest) -> dict[str, str]:
    """Return the filters of the address; an unknown value counts as absent."""
    environment, status = page_request.query("environment"), page_request.query("status")
    return {
        "q": page_request.query("q")[:100],
        "environment": environment if environment in ENVIRONMENTS else "",
        "status": status if status in STATUSES else "",
    }


def address(filters: dict[str, str], **changed: str) -> str:
    """Return the list's address with these filters; changing a filter starts at the first page again."""
    parameters = {name: value for name, value in {**filters, **changed}.items() if value}
    return f"/keys?{urlencode(parameters)}" if parameters else "/keys"


def variables(page_request: PageRequest) -> dict[str, Any]:
    filters = read_filters(page_request)
    start, end = last_days(7, page_request.now, page_request.zone)
    return {
        "first": PAGE_SIZE,
        "after": page_request.query("after") or None,
        "search": filters["q"] or None,
        "environment": filters["environment"].upper() or None,
        "status": filters["status"].upper() or None,
        "from": start.isoformat(),
        "to": end.isoformat(),
        "timeZone": page_request.zone,
    }


def view(page_request: PageRequest, data: dict[str, Any]) -> dict[str, Any]:
    filters = read_filters(page_request)
    return {
        "filters": filters,
        "is_filtered": any(filters.values()),
        "is_empty": not data["keys"]["nodes"] and not any(filters.values()),
        "is_first_page": not page_request.query("after"),
        "environments": ENVIRONMENTS,
        "statuses": STATUSES,
        "address": partial(address, filters),
        "state": partial(key_state, now=page_request.now),
        "has_other_use": any(group["key"] == "other" for point in data["usage"]["points"] for group in point["groups"]),
        "week": {key["id"]: spark(_week(data, key["id"])) for key in data["keys"]["nodes"]},
    }


def _week(data: dict[str, Any], key_id: str) -> list[int]:
    return [
        next((group["totals"]["calls"] for group in point["groups"] if group["key"] == key_id), 0)
        for point in data["usage"]["points"]
    ]


PAGE = Page("/keys", "keys/key_list", variables, view)
