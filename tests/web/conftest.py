"""The web process on the session's servers, and browsers of a kind: cookies, forms, no scripts."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from itertools import count
from urllib.parse import urlencode

import pytest
from httpx2 import ASGITransport, AsyncClient, Response
from starlette.applications import Starlette

from portal import accounts
from portal.core.actor import Actor, Role
from portal.core.database import Database
from portal.core.ids import AccountId, new_id
from portal.core.settings import Settings
from portal.runtime import Container, open_container, open_web
from web.app import create_app

ORIGIN = "http://127.0.0.1:8000"
PASSWORD = "correct horse battery"
_NUMBERS = count()
SAME_ORIGIN = {"Sec-Fetch-Site": "same-origin"}


class Browser:
    """Follows no redirect by itself and sends what a real one would: Accept, Sec-Fetch-Site, cookies.

    Each has an address of its own, since sign-ins are limited by address.
    """

    def __init__(self, app: Starlette, origin: str = ORIGIN) -> None:
        self.client = AsyncClient(
            transport=ASGITransport(app, client=(f"10.0.{next(_NUMBERS) % 256}.{next(_NUMBERS) % 256}", 5000)),
            base_url=origin,
            headers={"Accept": "text/html,application/xhtml+xml"},
        )
        self.email = ""
        self.actor: Actor

    async def get(self, address: str, **headers: str) -> Response:
        return await self.client.get(address, headers={name.replace("_", "-"): text for name, text in headers.items()})

    async def submit(self, action: str, /, **fields: str) -> Response:
        """Send a form to `action` as our own pages do."""
        return await self.post(action, fields)

    async def post(self, address: str, fields: dict[str, str], headers: dict[str, str] | None = None) -> Response:
        sent = {"Content-Type": "application/x-www-form-urlencoded"} | (SAME_ORIGIN if headers is None else headers)
        return await self.client.post(address, content=urlencode(fields), headers=sent)

    async def reveal(self, action: str, /, **fields: str) -> Response:
        """Send a form that makes a secret, and open the address that it leads to."""
        made = await self.submit(action, **fields)
        assert made.status_code == 303, made.text
        assert made.headers["Location"].startswith("/reveals/")
        return await self.get(made.headers["Location"])

    async def create_key(self, **fields: str) -> str:
        """The id of a new key."""
        made = await self.reveal(
            "/keys/new", **({"name": "Checkout", "environment": "live", "expiry": "never"} | fields)
        )
        found = re.search(r'href="/keys/(key_\w+)"', made.text)
        assert found is not None
        return found[1]


@pytest.fixture(scope="session")
async def parts(settings: Settings, database: Database) -> AsyncIterator[Container]:
    """`database` is asked for because it migrates."""
    async with open_container(settings) as parts:
        yield parts


@pytest.fixture(scope="session")
async def app(parts: Container) -> AsyncIterator[Starlette]:
    async with open_web(parts) as services:
        yield create_app(services)


@pytest.fixture
async def browsers(app: Starlette, database: Database) -> AsyncIterator[Callable[..., Awaitable[Browser]]]:
    """`await browsers(Role.VIEWER)`: somebody new, signed in, with an account of their own."""
    async with AsyncExitStack() as stack:

        async def make(role: Role = Role.OWNER) -> Browser:
            browser = Browser(app)
            stack.push_async_callback(browser.client.aclose)
            browser.email = f"{new_id('t').lower()}@example.com"
            async with database.transaction() as tx:
                new = accounts.NewAccount(browser.email, PASSWORD, "Ann Lee", "Northwind <Labs>")
                person, account = await accounts.sign_up(tx, new)
                (membership,) = await accounts.list_memberships(tx, person.id)
                membership.role = role.value
            browser.actor = Actor("person", person.id, AccountId(account.id), role=role)
            answer = await browser.submit("/sign-in", email=browser.email, password=PASSWORD)
            assert answer.status_code == 303, answer.text
            return browser

        yield make


@pytest.fixture
async def ann(browsers: Callable[..., Awaitable[Browser]]) -> Browser:
    """Signed in, the owner of an account."""
    return await browsers()


@pytest.fixture
async def anonymous(app: Starlette) -> AsyncIterator[Browser]:
    browser = Browser(app)
    yield browser
    await browser.client.aclose()
