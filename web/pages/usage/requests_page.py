"""The request log: the same range and filters as the usage page, a page of rows at a time."""

from datetime import timedelta
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from portal.check import format_span
from web.pages.framework import Page, PageRequest, parse_instant, zone_name
from web.pages.usage.filters import address, filter_of, read_filters, shared_view, window_of

PATH = "/usage/requests"
PAGE_SIZE = 50
MAX_ID = 64


def variables(page_request: PageRequest) -> dict[str, Any]:
    window = window_of(page_request)
    return {
        "from": window.start.isoformat(),
        "to": window.end.isoformat(),
        "filter": filter_of(read_filters(page_request)),
        "first": PAGE_SIZE,
        "after": page_request.query("after") or None,
    }


def view(page_request: PageRequest, data: dict[str, Any]) -> dict[str, Any]:
    filters = read_filters(page_request)
    return {
        **shared_view(filters, window_of(page_request), data),
        "address": partial(address, PATH, filters),
        "usage_address": partial(address, "/usage", filters),
        "is_first_page": not page_request.query("after"),
        "zone_name": zone_name(page_request.zone, page_request.now),
    }


def request_view(page_request: PageRequest, data: dict[str, Any]) -> dict[str, Any]:
    """Return what the page shows, also for an unknown id: then it says what may be the matter.

    `waits`: how much later each limit without room would have let the check pass, None: never.
    """
    request = data["request"]
    limits = request["denial"]["limits"] if request and request["denial"] else []
    return {
        "waits": [_wait(request["at"], limit["passesAt"]) for limit in limits],
        "request_id": page_request.request.path_params["id"][:MAX_ID],
        "zone_name": zone_name(page_request.zone, page_request.now),
    }


def _wait(at: str, passes_at: str | None) -> str | None:
    if passes_at is None:
        return None
    return format_span(round((parse_instant(passes_at) - parse_instant(at)) / timedelta(milliseconds=1)))


async def find_request(request: Request) -> Response:
    """Lead from the search field to the request's own address."""
    request_id = request.query_params.get("id", "").strip()[:MAX_ID]
    return RedirectResponse(f"{PATH}/{request_id}" if request_id.replace("_", "").isalnum() else PATH, 303)


def request_variables(page_request: PageRequest) -> dict[str, Any]:
    return {"id": page_request.request.path_params["id"]}


PAGE = Page(PATH, "usage/requests_page", variables, view)
REQUEST_PAGE = Page(f"{PATH}/{{id}}", "usage/request_page", request_variables, request_view)
FIND = Route(f"{PATH}/find", find_request, methods=["GET"], name="usage/find")
