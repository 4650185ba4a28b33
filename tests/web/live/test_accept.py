"""Accept by weights on every address: what is wanted most is answered, and a stream only to who wants one."""

from collections.abc import AsyncIterator
from itertools import product

import httpx2
import pytest
from starlette.requests import Request

from tests.web.graphql_client import Visitor
from tests.web.live.clients import Portal
from web.graphql.http_messages import accepted_type, wants_page
from web.graphql.sse import accepts_events, wants_events
from web.http import preferred_type, wants_html

NEWER, PLAIN, EVENTS = "application/graphql-response+json", "application/json", "text/event-stream"
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"
URQL = f"{NEWER}, application/graphql+json, {PLAIN}, {EVENTS}, multipart/mixed"
APOLLO = f"{NEWER},{PLAIN};q=0.9"
REQUEST = f"{NEWER}, {PLAIN}"
AXIOS = "application/json, text/plain, */*"
QUERY = "{ viewer { role } }"
TICKS = "subscription { usageTicks { calls } }"


def request(accept: str | list[str] | None, method: str = "GET", path: str = "/graphql") -> Request:
    lines = [] if accept is None else [accept] if isinstance(accept, str) else accept
    headers = [(b"accept", line.encode()) for line in lines] + [(b"host", b"portal")]
    return Request({"type": "http", "method": method, "path": path, "headers": headers, "query_string": b""})


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        ("", "a/a"),
        ("*/*", "a/a"),
        ("a/*", "a/a"),
        ("b/b", "b/b"),
        ("b/b, */*", "b/b"),
        ("a/a, b/b", "a/a"),
        ("b/b, a/a", "a/a"),
        ("b/*, a/a;q=0.9", "b/b"),
        ("a/a;q=0, */*", "b/b"),
        ("a/a;q=0.001", "a/a"),
        ("A/A;Level=1;Q=0.2, B/B ; q=0.3", "b/b"),
        ("*/*;q=0.1, a/*;q=0.2, b/b;q=0.15", "a/a"),
        ("a/a;q=0, b/b;q=0", None),
        ("c/c", None),
        ("*/*;q=0", None),
        ("a/*;q=0, b/b;q=x", None),
        (",, ,b/b,", "b/b"),
    ],
)
def test_the_most_exact_range_gives_the_weight(accept: str, chosen: str | None) -> None:
    assert preferred_type(accept, ("a/a", "b/b")) == chosen


@pytest.mark.parametrize(
    ("accept", "answered"),
    [
        (None, PLAIN),
        ("", PLAIN),
        ("*/*", PLAIN),
        ("application/*", PLAIN),
        (URQL, NEWER),
        (APOLLO, NEWER),
        (REQUEST, NEWER),
        (f"{PLAIN}, {NEWER}", NEWER),
        (f"{PLAIN};q=0, */*", NEWER),
        (f"{NEWER};q=0.5, */*;q=0.9", PLAIN),
        (f"{NEWER};q=0, {PLAIN};q=0", None),
        ("image/png", None),
        (EVENTS, None),
    ],
)
def test_the_media_type_of_graphql(accept: str | None, answered: str | None) -> None:
    assert accepted_type(accept) == answered


@pytest.mark.parametrize(
    ("accept", "accepts", "wants"),
    [
        (None, False, False),
        ("*/*", False, False),
        ("text/*", False, False),
        (URQL, True, False),
        (EVENTS, True, True),
        (EVENTS.upper(), True, True),
        (f"{EVENTS}, */*", True, True),
        (f"{EVENTS}, {PLAIN};q=0.9", True, True),
        (f"{EVENTS};q=0.9, {PLAIN}", True, False),
        (f"{EVENTS}, {PLAIN}", True, False),
        (f"{EVENTS};q=0, */*", False, False),
        (f"{EVENTS};q=0.5, */*", True, False),
        ([PLAIN, EVENTS], True, False),
        (f"application/x-{EVENTS.replace('/', '-')}", False, False),
        (f'{PLAIN};note="{EVENTS}"', False, False),
    ],
)
def test_who_wants_events(accept: str | list[str] | None, accepts: bool, wants: bool) -> None:
    assert accepts_events(request(accept)) is accepts
    assert wants_events(request(accept)) is wants
    assert wants_events(request(accept, path="/graphql/stream"))


@pytest.mark.parametrize(
    ("accept", "is_person"),
    [
        (BROWSER, True),
        ("text/html", True),
        ("text/html, */*", True),
        ("text/html;q=0.9, application/json;q=0.1", True),
        (None, False),
        ("*/*", False),
        (AXIOS, False),
        (URQL, False),
        ("application/json, text/html;q=0.5", False),
        ("text/html;q=0, */*", False),
        ("x-text/html-like", False),
    ],
)
def test_who_is_a_person(accept: str | None, is_person: bool) -> None:
    assert wants_html(request(accept)) is is_person
    assert wants_page(request(accept)) is is_person
    assert not wants_page(request(accept, "POST"))


@pytest.fixture
async def client(portal: Portal, visitor: Visitor) -> AsyncIterator[httpx2.AsyncClient]:
    headers = {"Authorization": f"Bearer {visitor.token}"}
    async with httpx2.AsyncClient(base_url=portal.url, headers=headers) as client:
        yield client


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [*product((URQL, APOLLO, REQUEST, f"{EVENTS};q=0.9, {NEWER}"), [NEWER]), (AXIOS, PLAIN), (EVENTS, EVENTS)],
)
async def test_a_query_is_answered_as_its_client_reads_it(
    client: httpx2.AsyncClient, accept: str, media_type: str
) -> None:
    answer = await client.post("/graphql", json={"query": QUERY}, headers={"Accept": accept})
    assert answer.headers["Content-Type"].partition(";")[0] == media_type
    if media_type != EVENTS:
        assert answer.json() == {"data": {"viewer": {"role": "owner"}}, "extensions": answer.json()["extensions"]}
        assert "RateLimit" in answer.headers
    refused = await client.post("/graphql", json={"query": "{ nothing }"}, headers={"Accept": accept})
    assert refused.status_code == (200 if media_type == PLAIN else 400)


@pytest.mark.parametrize("accept", [URQL, EVENTS, f"{EVENTS};q=0.1, {PLAIN}"])
async def test_a_subscription_is_a_stream_for_whoever_can_read_one(client: httpx2.AsyncClient, accept: str) -> None:
    async with client.stream("POST", "/graphql", json={"query": TICKS}, headers={"Accept": accept}) as answer:
        assert answer.headers["Content-Type"].startswith(EVENTS)


async def test_a_subscription_without_events_is_refused(client: httpx2.AsyncClient) -> None:
    for accept in ("*/*", PLAIN, APOLLO, f"{EVENTS};q=0, */*"):
        answer = await client.post("/graphql", json={"query": TICKS}, headers={"Accept": accept})
        assert answer.json()["errors"][0]["extensions"]["code"] == "SUBSCRIPTION"
