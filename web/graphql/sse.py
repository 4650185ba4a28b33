"""Subscriptions as server-sent events: the distinct connections mode of graphql-sse, one operation a connection."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from portal.graphql import Result
from web.auth.identity import Caller
from web.graphql.http_messages import EVENT_STREAM, PLAIN_JSON, RESPONSE_JSON, refusal, respond_refused
from web.graphql.live_connections import ConnectionRegistry, LiveConnection, TooManyConnections
from web.http import accept_of, preference_of
from web.http.request import EXACT

STREAM_PATH = "/graphql/stream"
QUIET_SECONDS = 15.0
SEND_SECONDS = 30.0
"""A reader that takes nothing for so long is gone."""
_KEEP_ALIVE = b":\n\n"
_COMPLETE = b"event: complete\ndata:\n\n"
_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


def accepts_events(request: Request) -> bool:
    """Return whether a subscription may be answered by events: named in Accept, however little; always on STREAM_PATH.

    A stream is for who can read one, so `*/*` is not enough.
    """
    if request.url.path == STREAM_PATH:
        return True
    preference = preference_of(accept_of(request), EVENT_STREAM)
    return preference.weight > 0 and preference.precision == EXACT


def wants_events(request: Request) -> bool:
    """Return whether any operation is to be answered by events: always on STREAM_PATH, else where they are wanted most.

    Clients that can read both, like urql, name them beside JSON with the same weight, and expect JSON for a query.
    """
    accept = accept_of(request)
    events = preference_of(accept, EVENT_STREAM)
    most = max(preference_of(accept, other).weight for other in (RESPONSE_JSON, PLAIN_JSON))
    is_wanted_most = events.weight > most or (events.weight == most and not _names_json(accept))
    return request.url.path == STREAM_PATH or (accepts_events(request) and is_wanted_most)


def _names_json(accept: str) -> bool:
    return any(preference_of(accept, other).precision == EXACT for other in (RESPONSE_JSON, PLAIN_JSON))


class EventStream(Response):
    """Sends until the source ends, the reader leaves or must stop; then closes the source."""

    def __init__(
        self, connections: ConnectionRegistry, caller: Caller, source: Result | AsyncGenerator[Result, None]
    ) -> None:
        super().__init__(headers=_HEADERS, media_type=EVENT_STREAM)
        del self.headers["Content-Length"]
        self._connections = connections
        self._caller = caller
        self._source = source

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            async with self._connections.register(self._caller) as connection:
                await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
                sending = asyncio.create_task(self._send_all(send, connection))
                leaving = asyncio.create_task(_until_left(receive))
                try:
                    await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    await _cancel(sending, leaving)
        except TooManyConnections as error:
            request = Request(scope, receive)
            await respond_refused(request, error)(scope, receive, send)
        finally:
            if not isinstance(self._source, Result):
                await self._source.aclose()

    async def _send_all(self, send: Send, connection: LiveConnection) -> None:
        with suppress(TimeoutError, OSError):
            if isinstance(self._source, Result):
                await _write(send, _next(self._source))
            else:
                await _send_each(send, self._source, connection)
            await _write(send, _COMPLETE, has_more=False)


async def _send_each(send: Send, source: AsyncGenerator[Result, None], connection: LiveConnection) -> None:
    """Something is sent at least each 15 s, so that a reader who went away unnoticed is noticed."""
    ended = asyncio.create_task(connection.ended.wait())
    following = asyncio.create_task(anext(source, None))
    try:
        while True:
            done, _ = await asyncio.wait({ended, following}, timeout=QUIET_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            if ended in done:
                await _write(send, _next(refusal(connection.code, connection.reason)))
                return
            if following not in done:
                await _write(send, _KEEP_ALIVE)
                continue
            result = following.result()
            if result is None:
                return
            await _write(send, _next(result))
            following = asyncio.create_task(anext(source, None))
    finally:
        await _cancel(ended, following)


def _next(result: Result) -> bytes:
    return b"event: next\ndata: " + msgspec.json.encode(result.to_json()) + b"\n\n"


async def _write(send: Send, body: bytes, *, has_more: bool = True) -> None:
    async with asyncio.timeout(SEND_SECONDS):
        await send({"type": "http.response.body", "body": body, "more_body": has_more})


async def _until_left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _cancel(*tasks: asyncio.Task[object]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
