"""The account's invoices, with the draft of the next one above."""

from typing import Any
from urllib.parse import urlencode

from web.pages.framework import Page, PageRequest, month, parse_instant

PAGE_SIZE = 24


def variables(page_request: PageRequest) -> dict[str, Any]:
    return {"first": PAGE_SIZE, "after": page_request.query("after") or None}


def view(page_request: PageRequest, data: dict[str, Any]) -> dict[str, Any]:
    return {
        "is_first_page": not page_request.query("after"),
        "is_running": page_request.now < parse_instant(data["draftInvoice"]["periodEnd"]),
        "address": address,
        "month": month,
    }


def address(**changed: str) -> str:
    parameters = {name: value for name, value in changed.items() if value}
    return f"/invoices?{urlencode(parameters)}" if parameters else "/invoices"


PAGE = Page("/invoices", "invoices/invoice_list", variables, view)
