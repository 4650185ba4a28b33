"""One invoice. What it bills can be looked up: a link leads to the same month on the usage page."""

from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

from web.pages.framework import Page, PageRequest, month, parse_instant

INSTANT = timedelta(microseconds=1)


def variables(page_request: PageRequest) -> dict[str, Any]:
    return {"id": page_request.request.path_params["id"]}


def view(page_request: PageRequest, data: dict[str, Any]) -> dict[str, Any]:
    """Return what the page shows beside its document; for an unknown id nothing, and the page says so."""
    invoice = data["invoice"]
    if invoice is None:
        return {}
    zone = ZoneInfo(page_request.zone)
    start, end = (parse_instant(invoice[name]).astimezone(zone) for name in ("periodStart", "periodEnd"))
    return {"month": month, "first_day": start.date(), "last_day": (end - INSTANT).date()}


PAGE = Page("/invoices/{id}", "invoices/invoice_page", variables, view)
