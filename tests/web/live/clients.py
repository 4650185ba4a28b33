"""Clients of graphql-transport-ws and of server-sent events, as thin as a test needs them."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx2
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from portal.core.database import Database
from tests.web.graphql_client import Visitor
from web.graphql.websocket import PROTOCOL
from web.services import WebServices

TICKS = "subscription { usageTicks { at calls units denied quotaLimit quotaUsed quotaRemaining } }"
CHANGES = "subscription ($key: ID) { keyChanged(keyId: $key) { number keyId change at key { id name status } } }"


@dataclass(frozen=True)
class Portal:
    url: str
    web: WebServices
    database: Database

    @property
    def socket_url(self) -> str:
        return self.url.replace("http://", "ws://") + "/graphql"

    def is_quiet(self) -> bool:
        """Nobody is connected, and nothing is kept for anybody."""
        return len(self.web.connections) == 0 and not any(self.web.hub.sizes().values())


async def until(holds: Callable[[], bool], seconds: float = 20.0) -> None:
    """A generous bound for a busy machine, not a promise about time."""
    async with asyncio.timeout(seconds):
        while not holds():  # noqa: ASYNC110  # what it waits for is state, which nobody announces
            await asyncio.sleep(0.02)


class Client:
    """One socket; `receive` waits for the next message."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket

    async def send(self, **message: Any) -> None:
        await self.socket.send(json.dumps(message))

    async def receive(self) -> dict[str, Any]:
        async with asyncio.timeout(20):
            message: dict[str, Any] = json.loads(await self.socket.recv())
        return message

    async def subscribe(self, name: str, query: str, **variables: Any) -> None:
        await self.send(id=name, type="subscribe", payload={"query": query, "variables": variables})

    async def next(self, name: str) -> dict[str, Any]:
        """The data of the next answer to this subscription."""
        message = await self.receive()
        assert (message["id"], message["type"]) == (name, "next"), message
        data: dict[str, Any] = message["payload"]["data"]
        return data

    async def close_code(self) -> int | None:
        """After the server has closed."""
        async with asyncio.timeout(20):
            await self.socket.wait_closed()
        return self.socket.close_code


@asynccontextmanager
async def opened(portal: Portal, *, protocol: str | None = PROTOCOL, **headers: str) -> AsyncIterator[Client]:
    """Connected, nothing said yet."""
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    protocols: Any = None if protocol is None else [protocol]
    async with connect(
        portal.socket_url, subprotocols=protocols, additional_headers=named, proxy=None, compression=None
    ) as socket:
        yield Client(socket)


@asynccontextmanager
async def greeted_at(url: str, token: str) -> AsyncIterator[Client]:
    """Known by a personal token."""
    address = url.replace("http://", "ws://") + "/graphql"
    async with connect(address, subprotocols=[Subprotocol(PROTOCOL)], proxy=None, compression=None) as socket:
        client = Client(socket)
        await client.send(type="connection_init", payload={"Authorization": f"Bearer {token}"})
        assert await client.receive() == {"type": "connection_ack"}
        yield client


def greeted(portal: Portal, visitor: Visitor) -> AbstractAsyncContextManager[Client]:
    return greeted_at(portal.url, visitor.token)


@asynccontextmanager
async def events_of(
    portal: Portal, visitor: Visitor | None, query: str, address: str = "/graphql", **variables: Any
) -> AsyncIterator[tuple[httpx2.Response, AsyncIterator[tuple[str, Any]]]]:
    """The response, and its events as (name, data)."""
    headers = {"Accept": "text/event-stream"}
    if visitor is not None:
        headers["Authorization"] = f"Bearer {visitor.token}"
    async with httpx2.AsyncClient(base_url=portal.url, timeout=20, trust_env=False) as client:
        body = {"query": query, "variables": variables}
        async with client.stream("POST", address, json=body, headers=headers) as response:
            yield response, _events(response)


async def _events(response: httpx2.Response) -> AsyncIterator[tuple[str, Any]]:
    name = ""
    async for line in response.aiter_lines():
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data:"):
            text = line.removeprefix("data:").strip()
            yield name, json.loads(text) if text else None
