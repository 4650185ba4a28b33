"""The request log's pages: rows, filters, paging, one request and why it was denied."""

import re
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from portal.core.clock import utc_now
from portal.core.database import Database
from portal.usage import Denial, DeniedLimit, encode_batch, ingest_usage
from tests.usage.sample import record, request_id
from tests.web.conftest import Browser

AT = utc_now() - timedelta(hours=2)


async def count(database: Database, ann: Browser, calls: int, **changes: object) -> None:
    rows = [record(number, AT, account_id=ann.actor.account_id, **changes) for number in range(calls)]
    await ingest_usage(database, encode_batch(rows))


def ids(text: str) -> list[str]:
    return re.findall(r'<a href="/usage/requests/(req_\w+)">', text)


async def test_rows_are_paged_to_the_oldest(ann: Browser, database: Database) -> None:
    await count(database, ann, 120)
    found: list[str] = []
    address = "/usage/requests?range=24h"
    while address:
        page = await ann.get(address)
        found += ids(page.text)
        older = re.search(r'<a class="button" href="([^"]+)" rel="next">', page.text)
        address = older[1].replace("&amp;", "&") if older else ""
    assert found == [request_id(AT, number) for number in reversed(range(120))]
    assert "Times in UTC" in page.text
    assert '<a class="button" href="/usage/requests?range=24h">Newest</a>' in page.text


async def test_filters_are_kept_on_the_way_from_the_usage_page(ann: Browser, database: Database) -> None:
    await count(database, ann, 3, code="RATE_LIMITED", resource="")
    usage = await ann.get("/usage?range=24h&environment=live")
    link = re.search(r'<a class="mono" href="([^"]+)">RATE_LIMITED</a>', usage.text)
    assert link
    page = await ann.get(link[1].replace("&amp;", "&"))
    assert len(ids(page.text)) == 3
    assert "not given" in page.text
    for which, calls in (("outcome=VALID", 0), ("endpoint=-", 3), ("key=key_a", 3), ("environment=test", 0)):
        assert len(ids((await ann.get(f"/usage/requests?range=24h&{which}")).text)) == calls
    assert "No requests with these filters" in (await ann.get("/usage/requests?outcome=VALID")).text


async def test_a_search_leads_to_the_request_and_why_it_was_denied(ann: Browser, database: Database) -> None:
    await count(database, ann, 1, code="RATE_LIMITED", resource="GET /v1/<search>")
    wanted = request_id(AT, 0)
    found = await ann.get(f"/usage/requests/find?id=%20{wanted}")
    assert (found.status_code, found.headers["Location"]) == (303, f"/usage/requests/{wanted}")
    page = await ann.get(found.headers["Location"])
    assert "Why this was denied." in page.text
    assert "Retry-After" in page.text
    assert "GET /v1/&lt;search&gt;" in page.text
    assert "none consumed" in page.text


@pytest.mark.parametrize("text", ["", "//evil.example", "../sign-out", "a b", "req_\u00e9?"])
async def test_a_search_leads_nowhere_else(ann: Browser, text: str) -> None:
    found = await ann.client.get("/usage/requests/find", params={"id": text})
    assert found.status_code == 303
    assert re.fullmatch(r"/usage/requests(/\w+)?", found.headers["Location"])


async def test_an_unknown_or_foreign_id_looks_the_same(
    ann: Browser, browsers: Callable[..., Awaitable[Browser]], database: Database
) -> None:
    await count(database, ann, 1)
    other = await browsers()
    pages = [await other.get(f"/usage/requests/{request_id(AT, number)}") for number in (0, 5)]
    assert [page.status_code for page in pages] == [200, 200]
    for page in pages:
        assert "This account has no counted request with the id" in page.text
    assert ids((await other.get("/usage/requests")).text) == []


async def test_an_anonymous_visitor_is_led_to_the_sign_in(anonymous: Browser) -> None:
    for address in ("/usage/requests", "/usage/requests/req_0"):
        assert (await anonymous.get(address)).headers["Location"].startswith("/sign-in?next=")


BURST = DeniedLimit("burst <b>", 10, 8, 1000, 992)
DENIALS: list[tuple[str, Denial | None, list[str]]] = [
    (
        "RATE_LIMITED",
        Denial((BURST,), (), (), "203.0.113.9"),
        [
            "Of the limit “burst &lt;b&gt;” (10 in 1 s) too little was left (2): 8 of 10 were used.",
            "The same check passes 992 ms later.",
            "Wait that long",
            "992 ms later<small>",
            "8 of 10<small>2 left, 3 needed</small>",
            "<code>203.0.113.9</code>",
        ],
    ),
    (
        "RATE_LIMITED",
        Denial((DeniedLimit("own-small", 2, 0, 60_000, None), DeniedLimit("month", 10_000, 9_999, 0, 7_200_000))),
        [
            "This cost is above the limit: the limit “own-small” (2 in 1 min) never admits it.",
            "No room either: the monthly quota (10,000 units).",
            "Waiting does not help: ask for less at once, or raise the key&#39;s own limit.",
            "never<small>the cost is above the limit</small>",
            "Monthly quota",
            "2 h later<small>",
        ],
    ),
    (
        "QUOTA_EXCEEDED",
        Denial((DeniedLimit("month", 10_000, 10_000, 0, 90_000_000),)),
        ["the monthly quota (10,000 units) nothing was left", "passes 1 day 1 h later", "10,000 of 10,000"],
    ),
    (
        "RATE_LIMITED",
        Denial((DeniedLimit("burst", 10, None, 1000, 5000),)),
        ["Redis was away", "Ask again in 5 s", "not known"],
    ),
    (
        "INSUFFICIENT_SCOPE",
        Denial((), ("orders:write", "<i>"), ("search:read",), "::1"),
        [
            "The check needs orders:write, &lt;i&gt;; the key has search:read.",
            "Grant orders:write, &lt;i&gt; to the key, or use a key that has them.",
            "<code>orders:write</code>, <code>&lt;i&gt;</code>",
            "Open the key",
        ],
    ),
    ("INSUFFICIENT_SCOPE", Denial((), ("a",)), ["The check needs a; the key has no scopes.", "<dd>none</dd>"]),
    (
        "IP_NOT_ALLOWED",
        Denial((), (), (), "8.8.8.8"),
        ["The call came from 8.8.8.8, which is not among the addresses", "Add 8.8.8.8 or its network to the key"],
    ),
    ("IP_NOT_ALLOWED", Denial(), ["the gateway did not say where the call came from", "caller&#39;s address as `ip`"]),
    ("EXPIRED", Denial(ended="key"), ["The key had reached its expiry."]),
    ("EXPIRED", Denial(ended="secret"), ["the overlap is over", "current secret"]),
    ("RATE_LIMITED", None, ["A limit of the plan or of the key had no room"]),
    ("INSUFFICIENT_SCOPE", None, ["The endpoint needs a scope that the key does not have."]),
]


@pytest.mark.parametrize(("code", "denial", "texts"), DENIALS)
async def test_a_denied_request_says_what_was_lacking(
    ann: Browser, database: Database, code: str, denial: Denial | None, texts: list[str]
) -> None:
    await count(database, ann, 1, code=code, denial=denial, cost=3)
    page = await ann.get(f"/usage/requests/{request_id(AT, 0)}")
    assert page.status_code == 200
    for text in texts:
        assert text in page.text
