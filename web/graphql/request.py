"""Read a GraphQL-over-HTTP request: what it accepts, and the document with its variables."""

from dataclasses import dataclass
from typing import Any, TypeGuard

from starlette.requests import Request

from portal.core.errors import MalformedBody
from portal.core.json import MAX_NESTING, DoubledMember, NestedTooDeeply, decode_json
from web.http import accept_of, preference_of, preferred_type, read_body
from web.http.accept import EXACT, HTML

RESPONSE_JSON = "application/graphql-response+json"
PLAIN_JSON = "application/json"
EVENT_STREAM = "text/event-stream"
MAX_BODY_BYTES = 100_000


@dataclass(frozen=True, slots=True)
class GraphQLRequest:
    """A document with its variables, not yet parsed."""

    document: str
    variables: dict[str, Any]
    operation_name: str | None


class RequestRefused(Exception):
    """What was sent is no GraphQL request; `status` is the answer's."""

    def __init__(self, status: int, message: str, code: str = "BAD_REQUEST") -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code


def accepted_type(accept: str | None) -> str | None:
    """Return the media type to answer with: the preferred one, the newer of two alike; None where neither will do."""
    if not accept or not accept.strip():
        return PLAIN_JSON
    newer, plain = preference_of(accept, RESPONSE_JSON), preference_of(accept, PLAIN_JSON)
    if newer.weight > plain.weight or (newer.weight == plain.weight > 0 and newer.precision == EXACT):
        return RESPONSE_JSON
    return PLAIN_JSON if plain.weight > 0 else None


def wants_page(request: Request) -> bool:
    """Return whether a browser followed a link here, as opposed to a program."""
    offers = (RESPONSE_JSON, PLAIN_JSON, EVENT_STREAM, HTML)
    return request.method == "GET" and preferred_type(accept_of(request), offers) == HTML


async def read_request(request: Request) -> GraphQLRequest:
    """Return the request of a POST's body or a GET's address. Raises RequestRefused."""
    return parse_request(await _read_body(request) if request.method == "POST" else _read_query(request))


async def _read_body(request: Request) -> dict[str, Any]:
    content_type, _, parameters = request.headers.get("Content-Type", "").lower().partition(";")
    if content_type.strip() != PLAIN_JSON or parameters.replace(" ", "") not in (
        "",
        "charset=utf-8",
        'charset="utf-8"',
    ):
        raise RequestRefused(415, "Send the body as Content-Type: application/json, in UTF-8.")
    body = await read_body(request, MAX_BODY_BYTES)
    if body is None:
        raise RequestRefused(413, f"The body is larger than {MAX_BODY_BYTES} bytes.", "TOO_LARGE")
    document = _decode(body, "The body")
    if isinstance(document, list):
        raise RequestRefused(400, "Batches are not supported.")
    if not isinstance(document, dict):
        raise RequestRefused(400, 'The body is a JSON object like {"query": "{ viewer { role } }"}.')
    return document


def _read_query(request: Request) -> dict[str, Any]:
    payload: dict[str, Any] = dict(request.query_params)
    for name in ("variables", "extensions"):
        if payload.get(name):
            payload[name] = _decode(payload[name].encode(), f"`{name}`")
        else:
            payload.pop(name, None)
    return payload | {"operationName": payload.get("operationName") or None}


def _decode(text: bytes, what: str) -> Any:
    try:
        return decode_json(text)
    except NestedTooDeeply:
        raise RequestRefused(400, f"{what} is nested deeper than {MAX_NESTING} levels.", "TOO_LARGE") from None
    except DoubledMember as error:
        raise RequestRefused(400, f"{what} cannot be read: {error}.") from None
    except MalformedBody:
        raise RequestRefused(400, f"{what} is not JSON.") from None


def parse_request(payload: Any) -> GraphQLRequest:
    """Return the request that a decoded JSON object means. Raises RequestRefused."""
    if not isinstance(payload, dict):
        raise RequestRefused(400, 'A request is an object like {"query": "{ viewer { role } }"}.')
    document, variables, name = payload.get("query"), payload.get("variables"), payload.get("operationName")
    if not isinstance(document, str) or not document:
        raise RequestRefused(400, "`query` must be a GraphQL document.")
    if not _is_map(variables):
        raise RequestRefused(400, "`variables` must be an object.")
    if name is not None and not isinstance(name, str):
        raise RequestRefused(400, "`operationName` must be a string.")
    if not _is_map(payload.get("extensions")):
        raise RequestRefused(400, "`extensions` must be an object.")
    return GraphQLRequest(document, variables or {}, name)


def _is_map(value: Any) -> TypeGuard[dict[str, Any] | None]:
    return value is None or isinstance(value, dict)
