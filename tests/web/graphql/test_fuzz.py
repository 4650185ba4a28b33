"""Many requests made up from the schema, over HTTP: whatever they bring in variables, nothing of ours fails."""

import asyncio
import re
import sys
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from httpx2 import ASGITransport, AsyncClient
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis_graphql import mutations, queries
from starlette.applications import Starlette

from portal.accounts import create_personal_token
from portal.core.database import Database
from portal.graphql import GraphQLRateLimiter
from portal.runtime import Container, open_web
from tests.faults.tools.report import sized
from tests.graphql.engine.test_fuzz import scalars
from tests.web.conftest import ORIGIN, SAME_ORIGIN, Browser
from tests.web.lifted import SCHEMA, Asked, asked
from web.app import create_app

EXAMPLES = sized(200, 10_000)
CODE = re.compile(r'"extensions":{[^}]*"code":"(\w+)"')
UNENDING = 10**8
WHO = ("session",) * 4 + ("token",) * 4 + ("nobody", "wrong token")
Credentials = dict[str, dict[str, str]]


@pytest.fixture
async def app(parts: Container) -> AsyncIterator[Starlette]:
    """With an allowance that is charged and does not end."""
    async with open_web(parts) as services:
        yield create_app(replace(services, rate_limiter=GraphQLRateLimiter(services.limiter, UNENDING)))


@pytest.fixture
async def credentials(ann: Browser, database: Database) -> Credentials:
    async with database.transaction(actor=ann.actor) as tx:
        token = (await create_personal_token(tx, ann.actor, "script")).token
    cookies = "; ".join(f"{name}={value}" for name, value in ann.client.cookies.items())
    return {
        "session": {"Cookie": cookies} | SAME_ORIGIN,
        "token": {"Authorization": f"Bearer {token}"},
        "nobody": {},
        "wrong token": {"Authorization": "Bearer pat_\udcff"},
    }


class Fuzz:
    """Sends, and counts what came back."""

    def __init__(self, app: Starlette, credentials: Credentials) -> None:
        self._transport = ASGITransport(app)
        self._credentials = credentials
        self.answers: Counter[str] = Counter()

    async def send(self, one: Asked, who: str) -> None:
        headers = {"Content-Type": "application/json"} | self._credentials[who] | one.headers
        raw = [(name.encode(), text.encode("utf-8", "surrogateescape")) for name, text in headers.items()]
        method, given = ("POST", {"content": one.body}) if one.is_post else ("GET", {"params": one.parameters})
        async with AsyncClient(transport=self._transport, base_url=ORIGIN) as client:
            response = await client.request(method, one.path, headers=raw, **given)
        is_busy = response.status_code == 503 and '"TIMEOUT"' in response.text
        assert response.status_code < 500 or is_busy, (one, who, response.text[:500])
        assert '"INTERNAL"' not in response.text, (one, who, response.text[:500])
        assert '"UNAVAILABLE"' not in response.text, (one, who, response.text[:500])
        found = CODE.search(response.text)
        self.answers[f"{response.status_code} {found[1] if found else 'data'}"] += 1

    def run(self, loop: asyncio.AbstractEventLoop, documents: st.SearchStrategy[str]) -> None:
        """In a thread of its own, since Hypothesis wants a plain function; the requests run in the tests' loop."""

        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=[*HealthCheck],
        )
        @given(one=asked(documents), who=st.sampled_from(WHO))
        def run(one: Asked, who: str) -> None:
            asyncio.run_coroutine_threadsafe(self.send(one, who), loop).result(60)

        run()


@pytest.mark.parametrize("kind", ["query", "mutation"])
async def test_no_request_fails_of_us(app: Starlette, ann: Browser, credentials: Credentials, kind: str) -> None:
    key_id = await ann.create_key()
    made = queries if kind == "query" else mutations
    fuzz = Fuzz(app, credentials)
    await asyncio.to_thread(fuzz.run, asyncio.get_running_loop(), made(SCHEMA, custom_scalars=scalars(key_id)))
    sys.stdout.write(f"\n  GraphQL over HTTP, {kind}: {dict(fuzz.answers)}\n")
    assert fuzz.answers.total() >= EXAMPLES
    assert fuzz.answers["200 data"] + fuzz.answers["200 INVALID"] > EXAMPLES // 40, "hardly any of them ran"
