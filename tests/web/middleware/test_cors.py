"""Pages of other origins: the listed ones may call with a token, and nobody's cookie ever counts."""

from collections.abc import AsyncIterator
from itertools import product
from pathlib import Path

import httpx2
import pytest
from starlette.applications import Starlette

from portal.core.database import Database
from portal.core.embedded import EmbeddedServices
from portal.core.errors import StartupError
from portal.core.settings import load_settings
from portal.runtime import open_container, open_web
from tests.conftest import settings_for
from tests.web.graphql_client import ADDRESS, Visitor, client_of, new_visitor
from web.app import create_app

APP, DEV = "https://app.example", "http://localhost:3000"
STRANGERS = (
    *("https://evil.example", "http://app.example", "https://app.example:444", "https://app.example.evil.example"),
    *("https://xapp.example", "null", "", "file://", "https://app.example/", "https://app.example, https://x.example"),
)
EXPORT = "/usage/export?from=2026-11-01T00:00:00Z&to=2026-11-02T00:00:00Z"
ADDRESSES = ("/graphql", "/graphql/stream", EXPORT)
VIEWER = "{ viewer { role } }"


@pytest.fixture(scope="module")
async def app(
    services: EmbeddedServices, database: Database, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Starlette]:
    """`database` is asked for because it migrates."""
    settings = settings_for(services, tmp_path_factory.mktemp("cors"), allowed_origins=f"{APP}, {DEV}")
    async with open_container(settings) as parts, open_web(parts) as web:
        yield create_app(web)


@pytest.fixture
async def client(app: Starlette) -> AsyncIterator[httpx2.AsyncClient]:
    async with client_of(app) as client:
        yield client


@pytest.fixture(scope="module")
async def visitor(database: Database) -> Visitor:
    return await new_visitor(database)


def preflight(origin: str, method: str = "POST", headers: str = "authorization,content-type") -> dict[str, str]:
    asked = {"Access-Control-Request-Method": method, "Access-Control-Request-Headers": headers}
    return {"Origin": origin, "Sec-Fetch-Site": "cross-site", **asked}


@pytest.mark.parametrize(("origin", "address"), [*product((APP, DEV, APP.upper()), ADDRESSES)])
async def test_a_listed_origin_may_ask(client: httpx2.AsyncClient, origin: str, address: str) -> None:
    answer = await client.options(address, headers=preflight(origin, "GET", "authorization,traceparent"))
    assert answer.status_code == 204
    assert answer.headers["Access-Control-Allow-Origin"] == origin
    assert "GET" in answer.headers["Access-Control-Allow-Methods"]
    assert answer.headers["Access-Control-Allow-Headers"] == "authorization,traceparent"
    assert "Origin" in answer.headers["Vary"]
    assert "Access-Control-Allow-Credentials" not in answer.headers


@pytest.mark.parametrize(("origin", "address"), [*product(STRANGERS, ADDRESSES)])
async def test_nobody_else_is_told_anything(
    client: httpx2.AsyncClient, visitor: Visitor, origin: str, address: str
) -> None:
    asked = await client.options(address, headers=preflight(origin))
    token = {"Authorization": f"Bearer {visitor.token}", "Origin": origin, "Sec-Fetch-Site": "cross-site"}
    got = await client.get(address, params={"query": VIEWER} if "graphql" in address else None, headers=token)
    for answer in (asked, got):
        assert not [name for name in answer.headers if name.lower().startswith("access-control")]
        assert "Origin" in answer.headers["Vary"]
    assert asked.status_code == 405


@pytest.mark.parametrize("address", ["/", "/keys", "/sign-in", "/usage/events", "/livez", "/static/app.js", "/nothing"])
async def test_pages_and_other_addresses_are_for_no_other_origin(client: httpx2.AsyncClient, address: str) -> None:
    for answer in (
        await client.options(address, headers=preflight(APP)),
        await client.get(address, headers={"Origin": APP, "Sec-Fetch-Site": "cross-site"}),
    ):
        assert not [name for name in answer.headers if name.lower().startswith("access-control")]


async def test_a_token_is_taken_and_its_headers_can_be_read(client: httpx2.AsyncClient, visitor: Visitor) -> None:
    headers = {"Origin": APP, "Sec-Fetch-Site": "cross-site", "Authorization": f"Bearer {visitor.token}"}
    answer = await client.post("/graphql", json={"query": VIEWER}, headers=headers)
    assert answer.json()["data"] == {"viewer": {"role": "owner"}}
    assert answer.headers["Access-Control-Allow-Origin"] == APP
    exposed = answer.headers["Access-Control-Expose-Headers"]
    assert {"RateLimit", "RateLimit-Policy", "Retry-After", "Idempotency-Replayed"} <= {*exposed.split(", ")}
    assert {"Origin", "Authorization"} <= {*answer.headers["Vary"].split(", ")}
    for body, status in (("x", 400), ("x" * 200_000, 413)):
        refused = await client.post("/graphql", content=body, headers=headers | {"Content-Type": "application/json"})
        assert (refused.status_code, refused.headers["Access-Control-Allow-Origin"]) == (status, APP)
    export = await client.get(EXPORT, headers=headers)
    assert (export.status_code, export.headers["Access-Control-Allow-Origin"]) == (200, APP)


@pytest.mark.parametrize("site", ["cross-site", "same-site", None])
async def test_our_cookie_never_counts_for_another_origin(
    client: httpx2.AsyncClient, visitor: Visitor, site: str | None
) -> None:
    headers = {"Cookie": f"session={visitor.cookie}", "Origin": APP} | ({"Sec-Fetch-Site": site} if site else {})
    for answer in (
        await client.post("/graphql", json={"query": VIEWER}, headers=headers),
        await client.get("/graphql", params={"query": VIEWER}, headers=headers),
    ):
        assert answer.json()["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
    assert (await client.get(EXPORT, headers=headers)).status_code == 401
    own = {"Cookie": f"session={visitor.cookie}", "Origin": ADDRESS, "Sec-Fetch-Site": "same-origin"}
    assert (await client.post("/graphql", json={"query": VIEWER}, headers=own)).json()["data"]


@pytest.mark.parametrize(
    "origins", ["*", "app.example", "https://app.example/path", "null", "https://a b", "ftp://x", "https://"]
)
def test_settings_that_name_no_origin_are_reported(origins: str, tmp_path: Path) -> None:
    with pytest.raises(StartupError, match="PORTAL_ALLOWED_ORIGINS"):
        load_settings(database_url="postgresql+asyncpg://x", redis_urls="redis://x", allowed_origins=origins)
