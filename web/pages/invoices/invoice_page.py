"""One invoice. What it bills can be looked up: a link leads to the same month on the usage page."""

from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

from web.pages.framework.formatting import month, parse_instant
from web.pages.framework.page import Asked, Page


def variables(asked: Asked) -> dict[str, Any]:
    return {"id": asked.request.path_params["id"]}


def view(asked: Asked, data: dict[str, Any]) -> dict[str, Any]:
    """Also for an id that nobody has: the page says so."""
    invoice = data["invoice"]
    if invoice is None:
        return {}
    zone = ZoneInfo(asked.zone)
    start, end = (parse_instant(invoice[name]).astimezone(zone) for name in ("periodStart", "periodEnd"))
    return {"month": month, "first_day": start.date(), "last_day": (end - timedelta(days=1)).date()}


PAGE = Page("/invoices/{id}", "invoices/detail", variables, view)
