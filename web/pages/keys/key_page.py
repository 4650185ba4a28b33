"""One key: its state, secrets, a month of use, and everything that can be done to it."""

from datetime import timedelta
from typing import Any

from portal.core.errors import NotFound
from web.pages.framework import (
    DAILY_NAMES,
    NARROW,
    SMALL,
    Form,
    Page,
    PageRequest,
    back_address,
    daily_steps,
    draw,
    last_days,
)
from web.pages.keys.forms import OVERLAPS, edit_fields
from web.pages.keys.key_state import ending_secrets, key_state

DAYS = 30


def variables(page_request: PageRequest) -> dict[str, Any]:
    start, end = last_days(DAYS, page_request.now, page_request.zone)
    hour = (page_request.now - timedelta(hours=1)).replace(minute=0, second=0, microsecond=0)
    return {
        "id": page_request.request.path_params["id"],
        "from": start.isoformat(),
        "to": end.isoformat(),
        "hour": hour.isoformat(),
        "now": page_request.now.isoformat(),
        "timeZone": page_request.zone,
    }


def view(page_request: PageRequest, data: dict[str, Any]) -> dict[str, Any]:
    """Return what the page shows beside its document. Raises NotFound for a key that is not this account's."""
    key = data["key"]
    if key is None:
        raise NotFound("This key does not exist.")
    steps = daily_steps(key["usage"]["points"], page_request.zone)
    return {
        "state": key_state(key, page_request.now),
        "ending": ending_secrets(key, page_request.now),
        "live": {limit["name"]: limit for limit in key["liveLimits"] or []},
        "drawings": [draw(steps, DAILY_NAMES, shape) for shape in (SMALL, NARROW)],
        "edited": edit_fields(page_request, key),
        "overlaps": OVERLAPS,
        "overlap": (page_request.form or Form()).get("overlapSeconds", "86400"),
        "back": back_address(page_request.request, "/keys"),
        "recent_from": variables(page_request)["hour"],
        "can_write": "keys:write" in data["viewer"]["permissions"] and key["status"] != "REVOKED",
    }


PAGE = Page("/keys/{id}", "keys/key_page", variables, view)
