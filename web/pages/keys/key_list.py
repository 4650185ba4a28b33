"""The list's filters, from the address and back, and a week of use beside each key.

The search is sent in a body: somebody who has found a secret pastes it whole. It is looked up by its digest and leads
to its key; no address, page or log ever holds more of it than a masked secret shows.
"""

from functools import partial
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from portal.core.clock import utc_now
from portal.core.environments import ENVIRONMENTS
from portal.keys import has_secret, mask_secrets, parse_search
from web.auth.session import SignInNeeded, current_visitor
from web.pages.framework import (
    Form,
    Page,
    PageRequest,
    last_days,
    leave_note,
    moment,
    parse_instant,
    read_form,
    run_document,
    spark,
    without_secrets,
)
from web.pages.keys.key_state import key_state

PAGE_SIZE = 25
MAX_SEARCH = 300
SEARCH_PATH = "/keys/search"
STATUSES = ("active", "paused", "expired", "revoked")


def read_filters(page_request: PageRequest) -> dict[str, str]:
    """Return the filters of the address; an unknown value counts as absent."""
    return _filters(Form(page_request.request.query_params))


def _filters(form: Form) -> dict[str, str]:
    environment, status = form.text("environment"), form.text("status")
    return {
        "q": form.text("q")[:MAX_SEARCH],
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


async def post_search(request: Request) -> Response:
    """Lead to the list that a search asks for, or to the one key that has the secret."""
    form = await read_form(request)
    visitor = await current_visitor(request)
    if visitor is None:
        raise SignInNeeded("/keys", Form())
    return await _lead(PageRequest(request, visitor, utc_now()), _filters(form))


async def get_search(request: Request) -> Response:
    """Lead from the form's address to the page that has it."""
    return RedirectResponse("/keys", 303)


async def reroute(page_request: PageRequest) -> Response | None:
    """Treat a secret in the address as if it had been sent in a body, so that it stays there no longer."""
    filters = read_filters(page_request)
    return await _lead(page_request, filters) if has_secret(filters["q"]) else await without_secrets(page_request)


async def _lead(page_request: PageRequest, filters: dict[str, str]) -> Response:
    key = await _find_key(page_request, filters["q"])
    if key is None:
        return RedirectResponse(address(filters, q=mask_secrets(filters["q"])), 303)
    target = f"/keys/{key['id']}"
    message = f"This is the key that you searched for. {_describe_secret(page_request, key, filters['q'])}"
    await leave_note(page_request.request, page_request.visitor.actor.credential or "", target, {"message": message})
    if "HX-Request" in page_request.request.headers:
        return Response(headers={"HX-Redirect": target})
    return RedirectResponse(target, 303)


async def _find_key(page_request: PageRequest, search: str) -> dict[str, Any] | None:
    """Return the key that has this whole secret; None for a part of one, another text, another account's key."""
    wanted = parse_search(search)
    if wanted.digest is None or wanted.mask is not None:
        return None
    data = await run_document(page_request.request, "keys/find", {"search": search})
    found: list[dict[str, Any]] = data["keys"]["nodes"]
    return found[0] if len(found) == 1 else None


def _describe_secret(page_request: PageRequest, key: dict[str, Any], search: str) -> str:
    masked = next((secret for secret in key["secrets"] if secret["masked"] in mask_secrets(search)), None)
    if masked is None or masked["isCurrent"]:
        return "The secret is its current one."
    ends = parse_instant(masked["endsAt"])
    verb = "works until" if ends > page_request.now else "ended"
    return f"The secret is an older one, which {verb} {moment(ends, page_request.zone)} {page_request.zone}."


PAGE = Page("/keys", "keys/key_list", variables, view, reroute)
ROUTES = [
    Route(SEARCH_PATH, post_search, methods=["POST"], name="keys/search"),
    Route(SEARCH_PATH, get_search, methods=["GET"]),
]
