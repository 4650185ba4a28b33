"""One server for all of a module, a service token and a key."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from portal import keys
from portal.accounts import create_personal_token, create_service_token
from portal.core.actor import SYSTEM
from portal.core.database import Database
from portal.core.embedded import EmbeddedServices
from portal.runtime import listen, open_container, open_web, running_server
from tests.conftest import settings_for
from tests.e2e.running import new_login
from tests.web.connection.raw import Raw
from web.app import create_app
from web.services import WebServices


@dataclass(frozen=True)
class Served:
    port: int
    token: str
    secret: str
    personal: str
    services: WebServices

    def post(self, path: str, body: str, media_type: str = "application/json", *, has_token: bool = True) -> Raw:
        token = (f"Authorization: Bearer {self.token}".encode(),) if has_token else ()
        data = body.encode()
        return Raw(
            f"POST {path} HTTP/1.1".encode(),
            (
                b"Host: portal",
                *token,
                f"Content-Type: {media_type}".encode(),
                b"Content-Length: %d" % len(data),
            ),
            data,
        )

    def check(self, path: str = "/check") -> Raw:
        return self.post(path, f'{{"key": "{self.secret}", "cost": 0}}')


@pytest.fixture(scope="package")
async def served(
    services: EmbeddedServices, database: Database, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Served]:

    settings = settings_for(services, tmp_path_factory.mktemp("connection"))
    login = await new_login(database)
    async with database.transaction() as tx:
        token = (await create_service_token(tx, SYSTEM, "gateway")).token
    async with database.transaction(actor=login.actor) as tx:
        personal = (await create_personal_token(tx, login.actor, "raw")).token
        secret = (await keys.create_key(tx, login.actor, keys.NewKey("raw"))).secret
    async with open_container(settings) as parts, open_web(parts) as web:
        with listen("127.0.0.1", 0) as sock:
            async with running_server(create_app(web), sock):
                yield Served(sock.getsockname()[1], token, secret, personal, web)
