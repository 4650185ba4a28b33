"""The /check routes over ASGI: what the lane does not take (chunked bodies, Expect, unusual headers) arrives here."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from web.check import replies
from web.check.desk import BODY_MOST, bearer, is_json
from web.check.replies import Reply
from web.services import services_of


async def check(request: Request) -> Response:
    """POST /check and its variants, by path."""
    if request.method != "POST":
        return _response(replies.not_allowed())
    path, headers = request.url.path, request.headers
    desk, token = services_of(request).desk, bearer(headers.get("authorization", ""))
    if token is None:
        return _response(replies.no_token())
    if not is_json(headers.get("content-type", "")):
        return _response(replies.wrong_type())
    body = await _body(request, BODY_MOST[path])
    if body is None:
        return _response(replies.too_large(BODY_MOST[path]))
    return _response(await desk.answer(path, token, body))


async def _body(request: Request, most: int) -> bytes | None:
    """None when it is larger; the rest is not read."""
    length = request.headers.get("content-length", "")
    if length.isdigit() and int(length) > most:
        return None
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > most:
            return None
        parts.append(part)
    return b"".join(parts)


def _response(reply: Reply) -> Response:
    headers = dict(line.split(": ", 1) for line in reply.headers.decode().splitlines())
    if reply.is_last:
        headers["Connection"] = "close"
    return Response(reply.body, reply.status, headers, media_type=reply.media_type)


METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]

check_routes = [Route(path, check, methods=METHODS) for path in BODY_MOST]
