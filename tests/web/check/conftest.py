"""A real server with the lane in front, on a free port of loopback, in the tests' own loop."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from portal import keys
from portal.accounts import create_service_token
from portal.core.actor import SYSTEM, Actor
from portal.core.database import Database
from portal.core.embedded import EmbeddedServices
from portal.runtime import listen, open_container, open_web, running_server, url_of
from tests.conftest import settings_for
from web.app import create_app
from web.services import WebServices

MakeKey = Callable[..., Awaitable[keys.CreatedKey]]


@dataclass
class Served:
    """A running server, a service token for it, and a client that sends it."""

    url: str
    port: int
    token: str
    services: WebServices
    http: httpx2.AsyncClient

    def raw(self, body: bytes, *, path: str = "/check", extra: str = "") -> bytes:
        """One request as bytes."""
        head = (
            f"POST {path} HTTP/1.1\r\nHost: portal\r\nAuthorization: Bearer {self.token}\r\n"
            f"Content-Type: application/json\r\n{extra}Content-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body


@pytest.fixture
async def served(services: EmbeddedServices, database: Database, tmp_path: Path) -> AsyncIterator[Served]:
    settings = settings_for(services, tmp_path)
    async with open_container(settings) as parts, open_web(parts) as web:
        async with database.transaction() as tx:
            token = (await create_service_token(tx, SYSTEM, "gateway")).token
        with listen("127.0.0.1", 0) as sock:
            url = url_of(sock)
            headers = {"Authorization": f"Bearer {token}"}
            async with running_server(create_app(web), sock), httpx2.AsyncClient(base_url=url, headers=headers) as http:
                yield Served(url, sock.getsockname()[1], token, web, http)


@pytest.fixture
def make_key(served: Served) -> MakeKey:
    async def make(actor: Actor, **fields: Any) -> keys.CreatedKey:
        async with served.services.database.transaction(actor.account_id) as tx:
            return await keys.create_key(tx, actor, keys.NewKey(**{"name": "one", **fields}))

    return make
