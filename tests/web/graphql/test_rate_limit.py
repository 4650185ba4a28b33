"""Over HTTP: what a caller may spend, told in the same headers as a check's; compression; repeated mutations."""

from collections.abc import AsyncIterator

import http_sf
import httpx2
import pytest
from prometheus_client import REGISTRY

from portal.core.database import Database
from portal.core.embedded import EmbeddedServices
from portal.core.settings import Settings
from portal.graphql import GraphQLRateLimiter
from portal.limits import Limiter
from tests.web.conftest import Browser
from tests.web.graphql_client import Visitor, client_of, graphql_app, new_visitor

PER_MINUTE = 1_000
RESPONSE_JSON = "application/graphql-response+json"
KEYS = {"query": "{ keys { nodes { id } } }"}
CREATE = {"query": 'mutation { createKey(input: {name: "A"}) { ... on CreatedKey { secret } } }'}


@pytest.fixture
async def client(
    services: EmbeddedServices, settings: Settings, database: Database
) -> AsyncIterator[httpx2.AsyncClient]:
    limiter = Limiter(services.redis_urls, 1000)
    await limiter.open()
    async with client_of(graphql_app(settings, database, GraphQLRateLimiter(limiter, PER_MINUTE))) as client:
        yield client
    await limiter.close()


@pytest.fixture
async def visitor(database: Database) -> Visitor:
    return await new_visitor(database)


def bearer(visitor: Visitor, **headers: str) -> dict[str, str]:
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return {"Authorization": f"Bearer {visitor.token}"} | named


async def test_the_headers_are_those_of_a_check(client: httpx2.AsyncClient, visitor: Visitor) -> None:
    response = await client.post("/graphql", json=KEYS, headers=bearer(visitor))
    assert response.json()["extensions"]["cost"]["remaining"] == PER_MINUTE - 51
    policy = http_sf.parse(response.headers["RateLimit-Policy"].encode(), tltype="list")
    told = http_sf.parse(response.headers["RateLimit"].encode(), tltype="list")
    assert policy == [("graphql", {"q": PER_MINUTE, "w": 60})]
    assert told == [("graphql", {"r": PER_MINUTE - 51, "t": 4})]
    assert response.headers["X-RateLimit-Remaining"] == str(PER_MINUTE - 51)
    assert "Retry-After" not in response.headers


@pytest.mark.parametrize("accept", [RESPONSE_JSON, "application/json"])
async def test_more_than_is_left_is_a_429(client: httpx2.AsyncClient, visitor: Visitor, accept: str) -> None:
    for _ in range(30):
        response = await client.post("/graphql", json=KEYS, headers=bearer(visitor, Accept=accept))
        if response.status_code == 429:
            break
    assert response.status_code == 429
    assert "data" not in response.json()
    assert response.json()["errors"][0]["extensions"]["code"] == "RATE_LIMITED"
    assert int(response.headers["Retry-After"]) >= 1
    assert int(response.headers["X-RateLimit-Remaining"]) < 51


async def test_a_mutation_that_is_not_admitted_does_nothing(
    client: httpx2.AsyncClient, visitor: Visitor, database: Database
) -> None:
    while (await client.post("/graphql", json=KEYS, headers=bearer(visitor))).status_code == 200:
        pass
    many = " ".join(f'a{n}: createKey(input: {{name: "A"}}) {{ __typename }}' for n in range(15))
    response = await client.post("/graphql", json={"query": f"mutation {{ {many} }}"}, headers=bearer(visitor))
    assert response.status_code == 429


async def test_what_is_uncharged_is_counted(settings: Settings, database: Database, visitor: Visitor) -> None:
    away = Limiter(["redis://127.0.0.1:9"], 50)
    await away.open()
    before = REGISTRY.get_sample_value("portal_graphql_uncharged_total") or 0
    try:
        async with client_of(graphql_app(settings, database, GraphQLRateLimiter(away, PER_MINUTE))) as client:
            response = await client.post("/graphql", json=KEYS, headers=bearer(visitor))
    finally:
        await away.close()
    assert response.status_code == 200
    assert "RateLimit" not in response.headers
    assert response.json()["extensions"]["cost"] == {"requested": 51}
    assert REGISTRY.get_sample_value("portal_graphql_uncharged_total") == before + 1


async def test_a_large_answer_is_compressed(client: httpx2.AsyncClient, visitor: Visitor) -> None:
    asked = {"query": "{ __schema { types { name description } } }"}
    plain = await client.post("/graphql", json=asked, headers=bearer(visitor, Accept_Encoding="identity"))
    small = await client.post("/graphql", json=asked, headers=bearer(visitor, Accept_Encoding="gzip"))
    assert "Content-Encoding" not in plain.headers
    assert small.headers["Content-Encoding"] == "gzip"
    assert "Accept-Encoding" in small.headers["Vary"]
    assert int(small.headers["Content-Length"]) < int(plain.headers["Content-Length"])
    assert small.json()["data"] == plain.json()["data"]


@pytest.mark.parametrize(
    ("accepts", "is_gzip"),
    [
        ("gzip;q=0", False),
        ("GZIP", True),
        ("gzip; q=0.000, *", False),
        ("*;q=0.1", True),
        ("br, *;q=0", False),
        ("gzipped", False),
        ("deflate, gzip;q=0.2", True),
        ("gzip;q=nan", False),
        ("", False),
    ],
)
async def test_gzip_is_sent_to_those_who_accept_it(
    client: httpx2.AsyncClient, visitor: Visitor, anonymous: Browser, accepts: str, is_gzip: bool
) -> None:
    asked = {"query": "{ __schema { types { name description } } }"}
    answer = await client.post("/graphql", json=asked, headers=bearer(visitor, Accept_Encoding=accepts))
    assert (answer.headers.get("Content-Encoding") == "gzip") is is_gzip
    page = await anonymous.get("/sign-in", Accept_Encoding=accepts)
    assert (page.headers.get("Content-Encoding") == "gzip") is is_gzip
    assert "Accept-Encoding" in page.headers["Vary"]


async def test_what_holds_a_secret_is_not_compressed(client: httpx2.AsyncClient, visitor: Visitor) -> None:
    many = " ".join(f'a{n}: createKey(input: {{name: "A"}}) {{ ... on CreatedKey {{ secret }} }}' for n in range(15))
    headers = bearer(visitor, Accept_Encoding="gzip", Idempotency_Key="once")
    for _ in range(2):
        response = await client.post("/graphql", json={"query": f"mutation {{ {many} }}"}, headers=headers)
        assert len(response.content) > 600
        assert "Content-Encoding" not in response.headers


async def test_a_lost_answer_can_be_fetched_again(client: httpx2.AsyncClient, visitor: Visitor) -> None:
    headers = bearer(visitor, Idempotency_Key="order-7")
    first = await client.post("/graphql", json=CREATE, headers=headers)
    again = await client.post("/graphql", json=CREATE, headers=headers)
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.json()["data"] == first.json()["data"]
    other = await client.post("/graphql", json=CREATE, headers=bearer(visitor, Idempotency_Key="order-8"))
    assert other.json()["data"] != first.json()["data"]


@pytest.mark.parametrize("accept", [RESPONSE_JSON, "application/json"])
async def test_the_same_key_for_another_request_is_a_409(
    client: httpx2.AsyncClient, visitor: Visitor, accept: str
) -> None:
    headers = bearer(visitor, Idempotency_Key="order-7", Accept=accept)
    await client.post("/graphql", json=CREATE, headers=headers)
    response = await client.post("/graphql", json={"query": CREATE["query"].replace("A", "B")}, headers=headers)
    assert response.status_code == 409
    assert response.json()["errors"][0]["extensions"]["code"] == "IDEMPOTENCY_CONFLICT"


@pytest.mark.parametrize("name", ["", "x" * 256, "\xe9", "a\tb"])
async def test_a_key_that_cannot_be_one_is_a_400(client: httpx2.AsyncClient, visitor: Visitor, name: str) -> None:
    headers = [(b"Idempotency-Key", name.encode("latin-1")), (b"Authorization", f"Bearer {visitor.token}".encode())]
    response = await client.post("/graphql", json=CREATE, headers=headers)
    assert response.status_code == 400
    count = await client.post("/graphql", json={"query": "{ keys { totalCount } }"}, headers=bearer(visitor))
    assert count.json()["data"]["keys"]["totalCount"] == 0
