"""Every hostile document and request is answered, with the right error, and nothing of it runs."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest

from portal.core.actor import Actor
from portal.core.database import Database, Tx
from portal.core.embedded import EmbeddedServices
from portal.core.settings import Settings
from tests.web.attacks.documents import Document, documents
from tests.web.attacks.requests import Sent, requests
from tests.web.graphql_client import Visitor, client_of, graphql_app, new_visitor

DOCUMENTS, REQUESTS = documents(), requests()
HANG_SECONDS = 20
COUNT = "{ keys { totalCount } }"


class Watched(Database):
    """Counts transactions of accounts: an operation that runs opens one."""

    ran = 0

    @asynccontextmanager
    async def transaction(self, account_id: str | None = None, *, actor: Actor | None = None) -> AsyncIterator[Tx]:
        self.ran += account_id is not None or actor is not None
        async with super().transaction(account_id, actor=actor) as tx:
            yield tx


@pytest.fixture(scope="module")
async def watched(services: EmbeddedServices, database: Database) -> AsyncIterator[Watched]:
    """`database` is asked for because it migrates."""
    watched = Watched(services.database_url)
    yield watched
    await watched.close()


@pytest.fixture(scope="module")
async def client(settings: Settings, watched: Watched) -> AsyncIterator[httpx2.AsyncClient]:
    async with client_of(graphql_app(settings, watched)) as client:
        yield client


@pytest.fixture(scope="module")
async def visitor(database: Database) -> Visitor:
    return await new_visitor(database)


def test_there_are_many_and_each_has_its_name() -> None:
    names = [one.name for one in DOCUMENTS] + [one.name for one in REQUESTS]
    assert len(names) == len(set(names)) >= 300


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda one: one.name)
async def test_a_hostile_document_is_refused(
    client: httpx2.AsyncClient, visitor: Visitor, watched: Watched, document: Document
) -> None:
    headers = {} if document.is_anonymous else {"Authorization": f"Bearer {visitor.token}"}
    body = {"query": document.text, "variables": document.variables}
    before = watched.ran
    async with asyncio.timeout(HANG_SECONDS):
        response = await client.post("/graphql", json=body, headers=headers)
    assert watched.ran == before
    told: dict[str, Any] = response.json()
    assert "data" not in told
    assert {error["extensions"]["code"] for error in told["errors"]} <= document.codes, told
    assert len(told["errors"]) <= 11
    if document.is_anonymous:
        assert "Did you mean" not in response.text


@pytest.mark.parametrize("sent", REQUESTS, ids=lambda one: one.name)
async def test_a_hostile_request_is_refused(
    client: httpx2.AsyncClient, visitor: Visitor, watched: Watched, sent: Sent
) -> None:
    proof = {"Cookie": f"session={visitor.cookie}"} if sent.by_cookie else {"Authorization": f"Bearer {visitor.token}"}
    before = watched.ran
    async with asyncio.timeout(HANG_SECONDS):
        response = await client.request(
            sent.method, f"/graphql?{sent.query}", content=sent.body, headers=proof | sent.headers
        )
    assert (response.status_code, watched.ran) == (sent.status, before), response.text
    assert "data" not in response.json()


async def test_nothing_was_created(client: httpx2.AsyncClient, visitor: Visitor) -> None:
    """After all of the above, as tests run in order."""
    headers = {"Authorization": f"Bearer {visitor.token}"}
    response = await client.post("/graphql", json={"query": COUNT}, headers=headers)
    assert response.json()["data"]["keys"]["totalCount"] == 0
