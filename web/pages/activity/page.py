"""The audit log's page: filters from the address, each event in words."""

from functools import partial
from typing import Any
from urllib.parse import urlencode

from web.pages.activity.describe_event import describe_event
from web.pages.framework import Page, PageRequest

PAGE_SIZE = 50
KINDS = {
    "key": "Keys",
    "session": "Sessions",
    "personal_token": "Personal tokens",
    "service_token": "Service tokens",
    "plan": "Plan",
    "invoice": "Invoices",
    "member": "Members",
    "account": "Account",
}


def filters(page_request: PageRequest) -> dict[str, str]:
    """Return the filters that the address names; an unknown kind counts as none."""
    kind = page_request.query("kind")
    return {
        "kind": kind if kind in KINDS else "",
        "actor": page_request.query("actor")[:40],
        "subject": page_request.query("subject")[:40],
    }


def address(known: dict[str, str], **changed: str) -> str:
    """Return the page's address with other filters, starting at the newest event."""
    said = {name: value for name, value in {**known, **changed}.items() if value}
    return f"/activity?{urlencode(said)}" if said else "/activity"


def variables(page_request: PageRequest) -> dict[str, Any]:
    known = filters(page_request)
    chosen = {"action": known["kind"], "actor": known["actor"], "subject": known["subject"]}
    return {
        "first": PAGE_SIZE,
        "after": page_request.query("after") or None,
        "filter": {name: value for name, value in chosen.items() if value} or None,
    }


def view(page_request: PageRequest, data: dict[str, Any]) -> dict[str, Any]:
    known = filters(page_request)
    return {
        "filters": known,
        "is_filtered": any(known.values()),
        "is_first_page": not page_request.query("after"),
        "kinds": KINDS,
        "address": partial(address, known),
        "told": describe_event,
    }


PAGE = Page("/activity", "activity/list", variables, view)
