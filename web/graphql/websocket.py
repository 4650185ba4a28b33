"""GraphQL over WebSocket by the protocol graphql-transport-ws; the older graphql-ws is not spoken.

A page of another site cannot open one with our cookie: what a browser says about where it comes from must name this
portal, or an origin that may call with a token. A caller that says nothing is no browser and brings a token.
Everything that a connection holds ends with it, however it ends.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.websockets import WebSocket, WebSocketDisconnect

from portal.core.errors import MalformedBody, Unauthenticated, Unavailable
from portal.core.ids import new_id
from portal.core.json import DoubledMember, NestedTooDeeply, decode_json
from portal.core.outages.database_errors import is_dependency_unavailable
from portal.graphql import Options, Result, SubscriptionContext, open_stream
from web.auth.authenticate import authenticate_socket
from web.auth.csrf import is_allowed_origin, is_own_origin, names_origin
from web.auth.identity import Caller
from web.graphql.http_messages import MAX_BODY_BYTES, GraphQLRequest, RequestRefused, parse_request, refusal
from web.graphql.live_connections import LiveConnection, TooManyConnections
from web.services import services_of

PROTOCOL = "graphql-transport-ws"
INIT_SECONDS = 10.0
MAX_SUBSCRIPTIONS = 20
MAX_ID = 100
BAD_MESSAGE, UNAUTHORIZED, FORBIDDEN, RESTARTING = 4400, 4401, 4403, 1012
BAD_PROTOCOL, INIT_TIMEOUT, DOUBLE_ID, DOUBLE_INIT = 4406, 4408, 4409, 4429
TOO_BIG, INTERNAL, TRY_LATER = 1009, 1011, 1013


class _Closing(Exception):
    """Ends the connection with a code of the protocol."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


async def answer_socket(socket: WebSocket) -> None:
    """Serve one connection, from its handshake to its end."""
    is_own_page = names_origin(socket) and is_own_origin(socket)
    if names_origin(socket) and not is_own_page and not is_allowed_origin(socket):
        await socket.close()
        return
    is_spoken = PROTOCOL in socket.scope.get("subprotocols", ())
    await socket.accept(subprotocol=PROTOCOL if is_spoken else None)
    try:
        if not is_spoken:
            raise _Closing(BAD_PROTOCOL, "Subprotocol not acceptable")
        caller = await _greet(socket, is_cookie_taken=is_own_page)
        async with services_of(socket).connections.register(caller) as connection:
            await _send(socket, {"type": "connection_ack"})
            await _Conversation(socket, caller, connection).serve()
    except _Closing as error:
        await _close(socket, error.code, error.reason)
    except TooManyConnections as error:
        await _close(socket, TRY_LATER, error.message)
    except WebSocketDisconnect:
        pass
    except Exception as error:
        if not is_dependency_unavailable(error):
            await _close(socket, INTERNAL, "Something went wrong on our side.")
            raise
        await _close(socket, TRY_LATER, "The database does not answer.")


async def _greet(socket: WebSocket, *, is_cookie_taken: bool) -> Caller:
    """Receive the first message, which says who calls. Raises _Closing."""
    try:
        async with asyncio.timeout(INIT_SECONDS):
            message = await _receive(socket)
    except TimeoutError:
        raise _Closing(INIT_TIMEOUT, "Connection initialisation timeout") from None
    if message["type"] != "connection_init":
        raise _Closing(UNAUTHORIZED, "Unauthorized")
    try:
        caller = await authenticate_socket(socket, message.get("payload"), is_cookie_taken=is_cookie_taken)
    except Unauthenticated:
        raise _Closing(FORBIDDEN, "Forbidden") from None
    if caller is None:
        raise _Closing(UNAUTHORIZED, "Unauthorized")
    return caller


class _Conversation:
    """After the greeting: any number of operations beside one another, up to a bound."""

    def __init__(self, socket: WebSocket, caller: Caller, connection: LiveConnection) -> None:
        self._socket = socket
        self._caller = caller
        self._connection = connection
        self._running: dict[str, asyncio.Task[None]] = {}

    async def serve(self) -> None:
        """Until the other side leaves or breaks the protocol, or may stay no longer."""
        reading = asyncio.create_task(self._read())
        ending = asyncio.create_task(self._connection.ended.wait())
        try:
            await asyncio.wait({reading, ending}, return_when=asyncio.FIRST_COMPLETED)
            if reading.done():
                reading.result()
            raise _Closing(RESTARTING if self._connection.code == "INTERRUPTED" else FORBIDDEN, self._connection.reason)
        finally:
            tasks = [reading, ending, *self._running.values()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _read(self) -> None:
        while True:
            message = await _receive(self._socket)
            match message["type"]:
                case "subscribe":
                    await self._subscribe(message)
                case "complete":
                    task = self._running.pop(_id_of(message), None)
                    if task is not None:
                        task.cancel()
                case "ping":
                    await _send(self._socket, {"type": "pong"})
                case "pong":
                    pass
                case "connection_init":
                    raise _Closing(DOUBLE_INIT, "Too many initialisation requests")
                case _:
                    raise _Closing(BAD_MESSAGE, "Unknown message type")

    async def _subscribe(self, message: Mapping[str, Any]) -> None:
        name = _id_of(message)
        if name in self._running:
            raise _Closing(DOUBLE_ID, f"Subscriber for {name} already exists")
        try:
            graphql_request = parse_request(message.get("payload"))
        except RequestRefused as error:
            raise _Closing(BAD_MESSAGE, error.message) from None
        if len(self._running) >= MAX_SUBSCRIPTIONS:
            text = f"At most {MAX_SUBSCRIPTIONS} operations run beside one another on a connection."
            refused = refusal("TOO_MANY_SUBSCRIPTIONS", text).to_json()["errors"]
            await _send(self._socket, {"id": name, "type": "error", "payload": refused})
            return
        task = asyncio.create_task(self._run(name, graphql_request))
        self._running[name] = task
        task.add_done_callback(lambda done: self._ended(name, done))

    def _ended(self, name: str, task: asyncio.Task[None]) -> None:
        if self._running.get(name) is task:
            del self._running[name]
        if not task.cancelled():
            task.exception()

    async def _run(self, name: str, graphql_request: GraphQLRequest) -> None:
        services = services_of(self._socket)
        if not await self._may_begin(name):
            return
        options = Options(
            operation_name=graphql_request.operation_name,
            key_prefix=services.settings.key_prefix,
            request_id=new_id("ws"),
            limiter=services.limiter,
            caps=services.settings.caps,
            charge=services.rate_limiter.charge,
            find_refusal=services.rate_limiter.find_refusal,
        )
        caller = (self._caller.actor, self._caller.person)
        opened = await open_stream(
            SubscriptionContext(services.database, services.hub),
            caller,
            graphql_request.document,
            graphql_request.variables,
            options,
        )
        if isinstance(opened, Result):
            if await self._tell(name, opened):
                await _send(self._socket, {"id": name, "type": "complete"})
            return
        try:
            async for result in opened:
                if not await self._tell(name, result):
                    return
            await _send(self._socket, {"id": name, "type": "complete"})
        finally:
            await opened.aclose()

    async def _may_begin(self, name: str) -> bool:
        """Each operation is the caller's as they are now: nothing begins after a revocation was answered."""
        try:
            return await services_of(self._socket).connections.confirm(self._connection)
        except Exception as error:
            if not is_dependency_unavailable(error):
                raise
            await self._tell(name, refusal(Unavailable.code, "The database does not answer.", "Try again soon."))
            return False

    async def _tell(self, name: str, result: Result) -> bool:
        """Send a result, and return whether the operation goes on: an error that kept it from running ends it."""
        document = result.to_json()
        if result.has_started:
            await _send(self._socket, {"id": name, "type": "next", "payload": document})
        else:
            await _send(self._socket, {"id": name, "type": "error", "payload": document["errors"]})
        return result.has_started


def _id_of(message: Mapping[str, Any]) -> str:
    name = message.get("id")
    if not isinstance(name, str) or not 1 <= len(name) <= MAX_ID:
        raise _Closing(BAD_MESSAGE, "`id` is a text of 1 to 100 characters")
    return name


async def _receive(socket: WebSocket) -> dict[str, Any]:
    """Receive a message. Raises _Closing for what is none, WebSocketDisconnect at the end."""
    received = await socket.receive()
    if received["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(received.get("code") or 1005)
    text = received.get("text")
    if text is None:
        raise _Closing(BAD_MESSAGE, "Messages are JSON text")
    if len(text) > MAX_BODY_BYTES:
        raise _Closing(TOO_BIG, "The message is too large")
    try:
        message = decode_json(text.encode())
    except NestedTooDeeply:
        raise _Closing(BAD_MESSAGE, "The message is nested too deeply") from None
    except DoubledMember as error:
        raise _Closing(BAD_MESSAGE, f"The message cannot be read: {error}") from None
    except (MalformedBody, UnicodeEncodeError):
        raise _Closing(BAD_MESSAGE, "The message is not JSON") from None
    if not isinstance(message, dict) or not isinstance(message.get("type"), str):
        raise _Closing(BAD_MESSAGE, "A message is an object with a type")
    return message


async def _send(socket: WebSocket, message: dict[str, Any]) -> None:
    await socket.send_text(msgspec.json.encode(message).decode())


async def _close(socket: WebSocket, code: int, reason: str) -> None:
    """Close the socket; the other side may have gone before."""
    try:
        await socket.close(code, reason[:120])
    except (RuntimeError, WebSocketDisconnect, OSError):
        return
