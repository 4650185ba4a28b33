"""GraphQL over HTTP: read a request (what it accepts, the document with its variables), write its response."""

from dataclasses import dataclass
from gzip import compress
from typing import Any, TypeGuard

import msgspec
from prometheus_client import Counter
from starlette.requests import Request
from starlette.responses import Response

from portal.core.errors import MalformedBody, PortalError, Unauthenticated, Unavailable
from portal.core.json import MAX_NESTING, DoubledMember, NestedTooDeeply, decode_json
from portal.graphql import (
    MUTATION_BY_GET,
    RATE_LIMIT_WINDOW_SECONDS,
    RATE_LIMITED,
    IdempotencyMismatch,
    RateLimitResult,
    RequestInProgress,
    Result,
    error_code,
    request_error,
)
from web.http import accept_of, accepts_gzip, header_dict, preference_of, preferred_type, rate_limit_lines, read_body
from web.http.request import EXACT, HTML

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


_STATUS_OF_FAULTS = {
    "INTERNAL": 500,
    "TIMEOUT": 503,
    MUTATION_BY_GET: 405,
    RATE_LIMITED: 429,
    **{error.code: error.http_status for error in (Unavailable, RequestInProgress, IdempotencyMismatch)},
}
UNCHARGED = Counter(
    "portal_graphql_uncharged", "GraphQL operations that only this process charged for: Redis was away."
)
MIN_GZIP_BYTES = 600
GZIP_LEVEL = 5
HEADERS = {"Cache-Control": "no-store", "Vary": "Accept, Accept-Encoding, Authorization, Cookie"}


def status_of(result: Result, media_type: str) -> int:
    """Return the HTTP status. Our faults show in both media types, the caller's only where they cannot be a proxy's."""
    codes = {error_code(error) or "" for error in result.errors}
    if not result.has_started:
        statuses = [_STATUS_OF_FAULTS[code] for code in codes if code in _STATUS_OF_FAULTS]
        return statuses[0] if statuses else 400 if media_type == RESPONSE_JSON else 200
    is_refused = result.data is None and codes == {Unauthenticated.code}
    return 401 if is_refused and media_type == RESPONSE_JSON else 200


def refusal(code: str, message: str, hint: str | None = None) -> Result:
    """Return a result that says why nothing was executed."""
    return Result(None, [request_error(code, message, hint)], has_started=False)


def respond_refused(request: Request, error: PortalError) -> Response:
    """Answer a request that was refused before anything of it was read."""
    media_type = accepted_type(accept_of(request)) or PLAIN_JSON
    return respond(request, refusal(error.code, error.message, error.hint), error.http_status, media_type)


def respond(request: Request, result: Result, status: int, media_type: str | None) -> Response:
    """Return a result as an HTTP answer, with its rate-limit headers."""
    headers = dict(HEADERS)
    if status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="portal"'
    if status == 405:
        headers["Allow"] = "POST"
    if result.cost is not None and result.cost.charged is not None:
        headers |= _rate_limit_headers(result.cost.charged)
    elif result.cost is not None:
        UNCHARGED.inc()
    if result.is_repeated:
        headers["Idempotency-Replayed"] = "true"
    body = msgspec.json.encode(result.to_json())
    if not result.is_mutation and len(body) >= MIN_GZIP_BYTES and accepts_gzip(request):
        body = compress(body, GZIP_LEVEL, mtime=0)
        headers["Content-Encoding"] = "gzip"
    return Response(body, status, headers, media_type=f"{media_type or PLAIN_JSON}; charset=utf-8")


def _rate_limit_headers(charged: RateLimitResult) -> dict[str, str]:
    """Return the allowance's headers; Retry-After only where it was not enough, never earlier than it admits again."""
    lines = rate_limit_lines(
        f'"graphql";q={charged.limit};w={RATE_LIMIT_WINDOW_SECONDS}',
        '"graphql"',
        limit=charged.limit,
        remaining=charged.remaining,
        reset_seconds=charged.reset_seconds,
    )
    headers = header_dict(lines)
    if charged.retry_seconds is not None:
        headers["Retry-After"] = str(max(1, charged.retry_seconds))
    return headers
