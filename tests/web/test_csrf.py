"""No other site can act here: every unsafe route, in every form that a foreign page or a bare program can give it."""

from collections.abc import Awaitable, Callable
from itertools import product
from types import SimpleNamespace
from urllib.parse import urlencode

import pytest
from starlette.requests import HTTPConnection
from starlette.routing import Route

from tests.web.conftest import ORIGIN, PASSWORD, Browser
from web.auth.csrf import is_own_origin, names_origin
from web.routes import page_routes

Headers = list[tuple[str, str]]
FORM, TEXT, JSON = "application/x-www-form-urlencoded", "text/plain", "application/json"
MULTIPART = "multipart/form-data; boundary=x"

FOREIGN: list[Headers] = [
    [],
    [("Referer", f"{ORIGIN}/keys")],
    [("Sec-Fetch-Site", "cross-site")],
    [("Sec-Fetch-Site", "same-site")],
    [("Sec-Fetch-Site", "")],
    [("Sec-Fetch-Site", "Same-Origin")],
    [("Sec-Fetch-Site", "same-origin, cross-site")],
    [("Sec-Fetch-Site", "same-origin"), ("Sec-Fetch-Site", "cross-site")],
    [("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Site", "same-origin")],
    [("Sec-Fetch-Site", "cross-site"), ("Origin", ORIGIN)],
    [("Sec-Fetch-Site", "same-site"), ("Origin", ORIGIN)],
    [("Origin", "null")],
    [("Origin", "")],
    [("Origin", "https://evil.example")],
    [("Origin", "http://127.0.0.1:8001")],
    [("Origin", "http://127.0.0.1")],
    [("Origin", "http://127.0.0.1:8000.evil.example")],
    [("Origin", "http://evil.example#127.0.0.1:8000")],
    [("Origin", "http://evil.example@127.0.0.1:8000")],
    [("Origin", "http://127.0.0.1:8000@evil.example")],
    [("Origin", f"{ORIGIN}/")],
    [("Origin", f"{ORIGIN}, https://evil.example")],
    [("Origin", f"{ORIGIN} https://evil.example")],
    [("Origin", ORIGIN), ("Origin", "https://evil.example")],
    [("Origin", "https://evil.example"), ("X-Forwarded-Host", "evil.example"), ("Forwarded", "host=evil.example")],
    [("Origin", "ftp://127.0.0.1:8000")],
    [("Origin", "127.0.0.1:8000")],
    [("Origin", "http://[")],
]
OWN: list[Headers] = [
    [("Sec-Fetch-Site", "same-origin")],
    [("Sec-Fetch-Site", "same-origin"), ("Origin", ORIGIN)],
    [("Sec-Fetch-Site", "none")],
    [("Origin", ORIGIN)],
    [("Origin", "HTTP://127.0.0.1:8000")],
]
UNSAFE = ("POST", "PUT", "PATCH", "DELETE")


def unsafe_page_routes() -> list[str]:
    """Return the address of every form, ids filled in with ones that cannot be."""
    return [
        route.path.replace("{id}", "key_0000000000000000000000MISS")
        for route in page_routes()
        if isinstance(route, Route) and "POST" in (route.methods or ())
    ]


ADDRESSES = unsafe_page_routes()


def test_the_table_is_long_enough() -> None:
    assert {"/sign-in", "/sign-up", "/sign-out", "/keys/new", "/settings/tokens"} <= {*ADDRESSES}
    assert len(ADDRESSES) * len(FOREIGN) >= 250


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
async def test_no_form_of_a_page_is_taken_from_elsewhere(ann: Browser, anonymous: Browser, headers: Headers) -> None:
    """With a session and without: nobody may be signed in as somebody else either."""
    session = ann.client.cookies["session"]
    tries = [(address, ann) for address in ADDRESSES] + [
        (address, anonymous) for address in ADDRESSES if "sign" in address
    ]
    for address, browser in tries:
        body = urlencode({"email": ann.email, "password": PASSWORD, "name": "Ann", "account": "Northwind"})
        sent = [*headers, ("Content-Type", FORM)]
        answer = await browser.client.post(address, content=body, headers=sent)
        assert (address, answer.status_code) == (address, 403)
        assert "Nothing was changed." in answer.text
        assert "Set-Cookie" not in answer.headers
    assert ann.client.cookies["session"] == session
    assert (await ann.get("/keys")).status_code == 200


@pytest.mark.parametrize(("method", "content_type"), [*product(UNSAFE, (FORM, TEXT, JSON, MULTIPART))])
async def test_neither_method_nor_type_opens_a_way(ann: Browser, method: str, content_type: str) -> None:
    for headers, (address, expected) in product(FOREIGN, (("/keys/new", 403), ("/nothing", 404))):
        sent = [*headers, ("Content-Type", content_type)]
        answer = await ann.client.request(method, address, content=b"a=1", headers=sent)
        assert (headers, address, answer.status_code) == (headers, address, expected)


@pytest.mark.parametrize("headers", OWN, ids=str)
async def test_our_own_forms_are_taken(ann: Browser, headers: Headers) -> None:
    key_id = await ann.create_key()
    sent = [*headers, ("Content-Type", FORM)]
    answer = await ann.client.post(f"/keys/{key_id}/pause", content=b"", headers=sent)
    assert answer.status_code == 303
    assert "Paused since" in (await ann.get(f"/keys/{key_id}")).text


async def test_a_form_that_stood_open_for_long_still_works(
    browsers: Callable[..., Awaitable[Browser]], anonymous: Browser
) -> None:
    """Nothing in it is bound to a session: signing in again in another tab spoils no form."""
    ann = await browsers()
    await ann.get("/keys/new")
    again = await ann.submit("/sign-in", email=ann.email, password=PASSWORD)
    assert again.status_code == 303
    await ann.create_key()
    assert "Set-Cookie" not in (await anonymous.get("/sign-in")).headers


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
async def test_the_cookie_moves_no_api_from_elsewhere(ann: Browser, headers: Headers) -> None:
    query = b'{"query": "mutation { createKey(input: {name: \\"Stolen\\"}) { __typename } }"}'
    for method, address, content_type in product(UNSAFE, ("/graphql", "/graphql/stream"), (JSON, TEXT, FORM)):
        sent = [*headers, ("Content-Type", content_type), ("Accept", "application/json")]
        answer = await ann.client.request(method, address, content=query, headers=sent)
        assert answer.status_code == 403
        (error,) = answer.json()["errors"]
        assert error["extensions"]["code"] == "FORBIDDEN"
    for address in ("/usage/export", "/usage/events"):
        assert (await ann.client.post(address, headers=headers)).status_code == 403
    assert "Stolen" not in (await ann.get("/keys")).text


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
async def test_a_program_with_a_token_needs_no_origin(ann: Browser, headers: Headers) -> None:
    """A foreign page cannot send Authorization without being let; the cookie is not looked at then."""
    sent = [*headers, ("Authorization", "Bearer pat_wrong"), ("Accept", "application/json")]
    answer = await ann.client.post("/graphql", json={"query": "{ viewer { role } }"}, headers=sent)
    assert answer.status_code == 401


async def test_an_anonymous_caller_may_query_graphql_without_an_origin(anonymous: Browser) -> None:
    answer = await anonymous.client.post("/graphql", json={"query": "{ __typename }"}, headers={"Accept": JSON})
    assert answer.json()["data"] == {"__typename": "Query"}


async def test_the_two_refusals_say_what_to_do(ann: Browser) -> None:
    foreign = await ann.post("/keys/new", {}, {"Origin": "https://evil.example"})
    assert "sent from another site" in foreign.text
    assert "Open the page here and send the form again" in foreign.text
    silent = await ann.post("/keys/new", {}, {"Accept": "application/json"})
    assert silent.headers["Content-Type"] == "application/problem+json"
    assert "does not say which site" in silent.json()["detail"]
    assert "a proxy must pass them on" in silent.json()["detail"]


def connection(base_url: str, headers: Headers) -> HTTPConnection:
    settings = SimpleNamespace(base_url=base_url)
    app = SimpleNamespace(state=SimpleNamespace(services=SimpleNamespace(settings=settings)))
    raw = [(name.lower().encode(), text.encode()) for name, text in headers]
    return HTTPConnection({"type": "http", "headers": raw, "app": app})


LOCAL, PUBLIC = "http://127.0.0.1:8000", "https://portal.example"


@pytest.mark.parametrize(
    ("base_url", "host", "origin", "is_own"),
    [
        (LOCAL, "portal.test:8000", "http://portal.test:8000", True),
        (LOCAL, "Portal.TEST:8000", "http://portal.test:8000", True),
        (LOCAL, "portal.test", "http://portal.test", True),
        (LOCAL, "portal.test:80", "http://portal.test", True),
        (LOCAL, "portal.test", "http://portal.test:80", True),
        (LOCAL, "portal.test", "https://portal.test", True),
        (LOCAL, "portal.test:443", "https://portal.test", True),
        (LOCAL, "portal.test:443", "http://portal.test", False),
        (LOCAL, "portal.test", "http://portal.test:8000", False),
        (LOCAL, "portal.test", "http://other.test", False),
        (LOCAL, "portal.test", "http://sub.portal.test", False),
        (LOCAL, "portal.test", "http://portal.test.", False),
        (LOCAL, "portal.test", "null", False),
        (LOCAL, "", "http://", False),
        (LOCAL, "", "null", False),
        (LOCAL, "[::1]:8000", "http://[::1]:8000", True),
        (LOCAL, "[::1]", "http://[::1]:80", True),
        (LOCAL, "[::1]:8000", "http://[::2]:8000", False),
        (LOCAL, "[FE80::1]:8000", "http://[fe80::1]:8000", True),
        (LOCAL, "inner:9000", "http://127.0.0.1:8000", True),
        (PUBLIC, "inner:9000", "https://portal.example", True),
        (PUBLIC, "inner:9000", "https://portal.example:443", True),
        (PUBLIC, "portal.example", "https://PORTAL.example", True),
        (PUBLIC, "portal.example", "http://portal.example", False),
        (PUBLIC, "portal.example", "https://portal.example:8443", False),
        (PUBLIC, "portal.example", "https://portal.example.evil.example", False),
        (PUBLIC, "evil.example@portal.example", "https://evil.example", False),
        (PUBLIC, "portal.example, evil.example", "https://evil.example", False),
    ],
)
def test_origin_is_compared_with_host_and_base_url(base_url: str, host: str, origin: str, is_own: bool) -> None:
    asked = connection(base_url, [("Host", host), ("Origin", origin)])
    assert is_own_origin(asked) == is_own
    assert names_origin(asked)


def test_two_hosts_are_none() -> None:
    hosts = [("Host", "evil.example"), ("Host", "evil.example")]
    assert not is_own_origin(connection(PUBLIC, [*hosts, ("Origin", "https://evil.example")]))
    assert is_own_origin(connection(PUBLIC, [*hosts, ("Origin", "https://portal.example")]))


def test_what_the_browser_says_outright_needs_no_origin() -> None:
    assert is_own_origin(connection(PUBLIC, [("Sec-Fetch-Site", "same-origin"), ("Origin", "null")]))
    assert not is_own_origin(connection(PUBLIC, []))
    assert not names_origin(connection(PUBLIC, []))
