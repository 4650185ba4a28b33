"""The request log: the same range and filters as the usage page, a page of rows at a time."""

import re
from datetime import timedelta
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from portal.check import format_span
from web.auth.session import SignInNeeded, current_visitor
from web.pages.framework import Form, Page, PageRequest, parse_instant, read_form, redirect_with, zone_name
from web.pages.usage.filters import address, filter_of, read_filters, shared_view, window_of

PATH = "/usage/requests"
PAGE_SIZE = 50
MAX_ID = 64
REQUEST_ID = re.compile(r"(?:req_)?([0-9A-HJKMNP-TV-Z]{26})", re.IGNORECASE)


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


async def post_find(request: Request) -> Response:
    """Lead to a request's own address. Something else was pasted than an id: it goes into no address."""
    form = await read_form(request)
    return await _lead(request, form.text("id"))


async def get_find(request: Request) -> Response:
    """Do the same for an address that carries the id."""
    return await _lead(request, request.query_params.get("id", "").strip())


async def _lead(request: Request, request_id: str) -> Response:
    visitor = await current_visitor(request)
    if visitor is None:
        raise SignInNeeded(PATH, Form())
    found = REQUEST_ID.fullmatch(request_id)
    if found is not None:
        return RedirectResponse(f"{PATH}/req_{found[1].upper()}", 303)
    message = (
        "That is not a request id. It looks like req_06C4A9VVRNH4SWM86X1PG3KH02 and is in the answer to the check."
    )
    return await redirect_with(request, visitor, PATH, message)


def request_variables(page_request: PageRequest) -> dict[str, Any]:
    return {"id": page_request.request.path_params["id"]}


PAGE = Page(PATH, "usage/requests_page", variables, view)
REQUEST_PAGE = Page(f"{PATH}/{{id}}", "usage/request_page", request_variables, request_view)
FIND_ROUTES = [
    Route(f"{PATH}/find", post_find, methods=["POST"], name="usage/find"),
    Route(f"{PATH}/find", get_find, methods=["GET"]),
]
