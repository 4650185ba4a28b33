"""The /check routes over ASGI: what the lane does not take (chunked bodies, Expect, upgrades, other methods)."""

from collections.abc import Awaitable, Callable
from time import monotonic

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from web.check import replies
from web.check.counters import COUNTERS
from web.check.handler import MAX_BODY, is_json
from web.check.replies import Reply
from web.connection.budget import Rank, note_rank
from web.http import bearer_token, read_body
from web.services import services_of


async def check(request: Request) -> Response:
    """Serve POST /check and its variants, by path."""
    counters, began_at = COUNTERS.route(request.url.path), monotonic()
    counters.started += 1
    status = CLIENT_GONE
    try:
        reply = await _answer(request)
        status = reply.status
    finally:
        counters.finish(status, began_at)
    return response_of(reply)


async def _answer(request: Request) -> Reply:
    if request.method != "POST":
        return replies.not_allowed()
    path, headers = request.url.path, request.headers
    handler, token = services_of(request).check_handler, bearer_token(headers.get("authorization", ""))
    if token is None:
        return replies.no_token()
    if not is_json(headers.get("content-type", "")):
        return replies.wrong_type()
    refused = await handler.refuse_unknown(token)  # before the body, which may be large, is read
    if refused is not None:
        return refused
    note_rank(request, Rank.GATEWAY)
    body = await read_body(request, MAX_BODY[path])
    if body is None:
        return replies.too_large(MAX_BODY[path])
    return await handler.answer(path, token, body)


def response_of(reply: Reply) -> Response:
    """Return a Starlette response for a reply."""
    headers = dict(line.split(": ", 1) for line in reply.headers.decode().splitlines())
    if reply.is_last:
        headers["Connection"] = "close"
    return Response(reply.body, reply.status, headers, media_type=reply.media_type)


CLIENT_GONE = 499
"""How a request is counted that went away before it was answered; no such answer is sent."""


class AnyMethod:
    """Makes a function answer every method: Starlette's own 405 is no problem document."""

    def __init__(self, answer: Callable[[Request], Awaitable[Response]]) -> None:
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self._answer(Request(scope, receive))
        await response(scope, receive, send)


check_routes = [Route(path, AnyMethod(check)) for path in MAX_BODY]
