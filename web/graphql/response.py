"""From a result to an HTTP answer: its status, headers and body."""

from gzip import compress

import msgspec
from prometheus_client import Counter
from starlette.requests import Request
from starlette.responses import Response

from portal.core.errors import PortalError, Unauthenticated, Unavailable
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
from web.graphql.request import PLAIN_JSON, RESPONSE_JSON, accepted_type
from web.http import accept_of, accepts_gzip, header_dict, rate_limit_lines

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
