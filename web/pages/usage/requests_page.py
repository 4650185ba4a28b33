"""The request log: the same range and filters as the usage page, a page of rows at a time."""

from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from web.pages.framework.formatting import zone_name
from web.pages.framework.page import Asked, Page
from web.pages.usage.filters import address, chosen, filter_of, shared_view, window_of

PATH = "/usage/requests"
PAGE_SIZE = 50
ID_MOST = 64


def variables(asked: Asked) -> dict[str, Any]:
    window = window_of(asked)
    return {
        "from": window.start.isoformat(),
        "to": window.end.isoformat(),
        "filter": filter_of(chosen(asked)),
        "first": PAGE_SIZE,
        "after": asked.query("after") or None,
    }


def view(asked: Asked, data: dict[str, Any]) -> dict[str, Any]:
    known = chosen(asked)
    return {
        **shared_view(known, window_of(asked), data),
        "address": partial(address, PATH, known),
        "usage_address": partial(address, "/usage", known),
        "is_first_page": not asked.query("after"),
        "zone_name": zone_name(asked.zone, asked.now),
    }


def view_one(asked: Asked, data: dict[str, Any]) -> dict[str, Any]:
    """Also for an id that nobody got: the page says what may be the matter."""
    return {"wanted": asked.request.path_params["id"][:ID_MOST], "zone_name": zone_name(asked.zone, asked.now)}


async def find(request: Request) -> Response:
    """From the search field to the request's own address."""
    wanted = request.query_params.get("id", "").strip()[:ID_MOST]
    return RedirectResponse(f"{PATH}/{wanted}" if wanted.replace("_", "").isalnum() else PATH, 303)


def one_variables(asked: Asked) -> dict[str, Any]:
    return {"id": asked.request.path_params["id"]}


PAGE = Page(PATH, "usage/requests", variables, view)
ONE = Page(f"{PATH}/{{id}}", "usage/request", one_variables, view_one)
FIND = Route(f"{PATH}/find", find, methods=["GET"], name="usage/find")
