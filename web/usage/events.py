"""POST /usage/events: usage that products metered themselves, as CloudEvents, by service token.

An event comes in structured mode, alone or in a batch, or in binary mode: its attributes in `ce-` headers, its data in
the body.

An event has an answer of its own: counted, a duplicate, or refused with its position. When any is refused the reply is
a problem document, so that nobody who looks at the status alone loses usage; the others are counted all the same, and
sending everything again counts nothing twice.
"""

import asyncio
from collections.abc import Sequence
from email.message import Message
from functools import partial
from typing import Any
from urllib.parse import unquote

import msgspec
from prometheus_client import Counter
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from portal.core.errors import InvalidBody, MalformedBody
from portal.core.outages.database_errors import is_dependency_unavailable
from portal.core.outages.rate_limited_log import RateLimitedLog
from portal.metering import (
    CloudEvent,
    MeteringAccepted,
    Parse,
    Refusal,
    parse_binary_event,
    parse_event,
    parse_event_batch,
)
from web.check import replies
from web.check.replies import Reply
from web.check.routes import AnyMethod, response_of
from web.connection.budget import Rank, note_rank
from web.http import bearer_token, read_body
from web.services import services_of

MAX_BODY_BYTES = 1024 * 1024
THREAD_BYTES = 65_536
PARSERS: dict[str, Parse] = {
    "application/cloudevents+json": parse_event,
    "application/cloudevents-batch+json": parse_event_batch,
}
BINARY_PREFIX = "ce-"
REFUSAL_STATUS = {"unknown_subject": 404, "conflict": 409}
WRONG_CONTENT_TYPE = (
    f"Send one of {', '.join(PARSERS)} in UTF-8, or application/json with the attributes in `ce-` headers."
)
TITLE = "Not counted"
EVENTS = Counter("portal_external_events", "External usage events by what became of them.", ["outcome"])

_log = RateLimitedLog(__name__)


async def meter_usage(request: Request) -> Response:
    """Count what can be counted; every answer but 200 is a problem document."""
    response = response_of(await _answer(request))
    response.headers["Cache-Control"] = "no-store"
    return response


async def _answer(request: Request) -> Reply:
    if request.method != "POST":
        return replies.problem(405, "Method not allowed", "Send usage by POST.", headers=b"Allow: POST\r\n")
    try:
        return await _count(request)
    except MalformedBody as error:
        return replies.malformed(str(error))
    except InvalidBody as error:
        return replies.problem(422, TITLE, f"{error}.")
    except Exception as error:
        if not is_dependency_unavailable(error):
            raise
        _log.warning("metering_without_database", error=repr(error))
        detail = (
            "The database is unavailable or busy; nothing was counted. Send it again later: nothing is counted twice."
        )
        return replies.problem(503, TITLE, detail, headers=b"Retry-After: 5\r\n")


async def _count(request: Request) -> Reply:
    service_token_id = await _service(request)
    if service_token_id is None:
        return replies.no_token()
    parse = _parser_of(request.headers)
    if parse is None:
        return replies.problem(415, "Wrong content type", WRONG_CONTENT_TYPE)
    body = await read_body(request, MAX_BODY_BYTES)
    if body is None:
        return replies.too_large(MAX_BODY_BYTES)
    results = await services_of(request).meter.count(await _parsed(parse, body), service_token_id)
    for result in results:
        EVENTS.labels(result.status if isinstance(result, MeteringAccepted) else result.code).inc()
    return _batch_reply(results) if parse is parse_event_batch else _single_reply(results[0])


def _parser_of(headers: Headers) -> Parse | None:
    """Return what parses a body of this content type; None for another type, or a character set that is not UTF-8.

    Raises InvalidBody where an attribute of binary mode comes twice.
    """
    content_type = Message()
    content_type["Content-Type"] = headers.get("content-type", "application/octet-stream")
    if (content_type.get_content_charset() or "utf-8").replace("_", "-") not in {"utf-8", "utf8", "us-ascii"}:
        return None
    media_type = content_type.get_content_type()
    attributes = _binary_attributes(headers)
    if media_type in PARSERS or "specversion" not in attributes:
        return PARSERS.get(media_type)
    has_no_data = "content-type" not in headers and headers.get("content-length", "0") == "0"
    is_json = media_type == "application/json" or media_type.endswith("+json")
    return partial(parse_binary_event, attributes) if is_json or has_no_data else None


def _binary_attributes(headers: Headers) -> dict[str, str]:
    """Return the attributes of an event in binary mode by their names (CloudEvents 1.0, HTTP binding, 3.1.3)."""
    attributes: dict[str, str] = {}
    for header, value in headers.items():
        if not header.startswith(BINARY_PREFIX):
            continue
        name = header.removeprefix(BINARY_PREFIX)
        if name in attributes:
            raise InvalidBody(f"Expected one header `{header}`")
        is_quoted = len(value) > 1 and value[0] == value[-1] == '"'
        attributes[name] = unquote(value[1:-1] if is_quoted else value)
    return attributes


async def _service(request: Request) -> str | None:
    token = bearer_token(request.headers.get("Authorization", ""))
    service_token_id = None if token is None else await services_of(request).tokens.identify(token)
    if service_token_id is not None:
        note_rank(request, Rank.GATEWAY)
    return service_token_id


async def _parsed(parse: Parse, body: bytes) -> list[CloudEvent | Refusal]:
    """Parse a body; a large one in a thread, so that this process goes on answering meanwhile."""
    return await asyncio.to_thread(parse, body) if len(body) > THREAD_BYTES else parse(body)


def _single_reply(result: MeteringAccepted | Refusal) -> Reply:
    if isinstance(result, MeteringAccepted):
        return Reply(200, replies.encode(_document(result)))
    return _refused(REFUSAL_STATUS.get(result.code, 422), f"{result.detail}.", [result], {"code": result.code})


def _batch_reply(results: Sequence[MeteringAccepted | Refusal]) -> Reply:
    refused = [result for result in results if isinstance(result, Refusal)]
    documents = [_document(result) for result in results]
    if not refused:
        return Reply(200, replies.encode({"results": documents}))
    detail = (
        f"{len(refused)} of {len(results)} events were not counted; the others were. Fix these and send them again:"
        " sending the others along counts nothing twice."
    )
    return _refused(422, detail, refused, {"results": documents})


def _refused(status: int, detail: str, refused: Sequence[Refusal], more: dict[str, Any]) -> Reply:
    document = {"type": replies.ABOUT_BLANK, "title": TITLE, "status": status, "detail": detail, "errors": refused}
    return Reply(status, replies.encode(document | more), replies.PROBLEM_JSON)


def _document(result: MeteringAccepted | Refusal) -> dict[str, Any]:
    document: dict[str, Any] = msgspec.to_builtins(result)
    return document if isinstance(result, MeteringAccepted) else document | {"status": "refused"}


metering_routes = [Route("/usage/events", AnyMethod(meter_usage))]
