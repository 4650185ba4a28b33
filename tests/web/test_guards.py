"""Only small forms are read, and every answer carries its headers."""

import gzip
import re

import pytest
from httpx2 import Response

from tests.web.conftest import Browser
from web.middleware.security_headers import CONTENT_SECURITY_POLICY
from web.pages.explorer.page import POLICY

HEAVIEST = 60_000


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        ("application/json", b"{}", 415),
        ("multipart/form-data; boundary=x", b"", 415),
        ("application/x-www-form-urlencoded", b"a=" + b"x" * 70_000, 413),
        ("application/x-www-form-urlencoded", b"&".join([b"a=1"] * 200), 400),
        ("application/x-www-form-urlencoded", b"a=\xff", 400),
    ],
)
async def test_what_is_no_small_form_is_refused(ann: Browser, content_type: str, body: bytes, status: int) -> None:
    headers = {"Content-Type": content_type, "Sec-Fetch-Site": "same-origin"}
    answer = await ann.client.post("/keys/new", content=body, headers=headers)
    assert answer.status_code == status


@pytest.mark.parametrize("address", ["/sign-in", "/keys", "/usage", "/nothing", "/static/app.css", "/graphql"])
async def test_every_answer_carries_the_security_headers(ann: Browser, address: str) -> None:
    answer = await ann.get(address)
    assert answer.headers["Content-Security-Policy"] == (POLICY if address == "/graphql" else CONTENT_SECURITY_POLICY)
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "same-origin"
    assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert re.fullmatch(r"http_[0-9A-Z]{26}", answer.headers["X-Request-Id"])
    assert "Strict-Transport-Security" not in answer.headers


def test_the_policy_allows_nothing_inline() -> None:
    assert "unsafe" not in CONTENT_SECURITY_POLICY
    assert CONTENT_SECURITY_POLICY.startswith("default-src 'none'; script-src 'self'; style-src 'self'")


async def test_the_explorer_may_load_its_fonts_and_no_more(ann: Browser) -> None:
    assert POLICY.replace(" data:;", ";", 2) == CONTENT_SECURITY_POLICY.replace(" data:;", ";")
    answer = await ann.get("/graphql?query={a}", Accept="application/json")
    assert answer.headers["Content-Security-Policy"] == CONTENT_SECURITY_POLICY


@pytest.mark.parametrize("address", ["/sign-in", "/keys", "/keys/new", "/usage", "/nothing"])
async def test_pages_are_never_stored_and_depend_on_htmx(ann: Browser, address: str) -> None:
    answer = await ann.get(address)
    if answer.status_code == 303:
        return
    assert answer.headers["Cache-Control"] == "no-store"
    assert "HX-Request" in answer.headers["Vary"]


async def test_htmx_gets_the_main_part_only(ann: Browser) -> None:
    whole, part = await ann.get("/keys"), await ann.get("/keys", HX_Request="true")
    assert "<!doctype html>" in whole.text
    assert part.text.startswith("<title>Keys · ")
    assert "<nav" not in part.text
    restored = await ann.get("/keys", HX_Request="true", HX_History_Restore_Request="true")
    assert "<!doctype html>" in restored.text


async def test_static_files_are_kept_for_a_year_by_their_content(ann: Browser) -> None:
    addresses = re.findall(r'(?:href|src)="(/static/[^"]+)"', (await ann.get("/keys")).text)
    assert len(addresses) == 4
    for address in addresses:
        answer = await ann.get(address)
        assert answer.status_code == 200
        assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert (await ann.get("/static/app.css")).headers["Cache-Control"] == "no-cache"
    assert (await ann.get("/static/../app.py")).status_code == 404


@pytest.mark.parametrize("address", ["/keys", "/usage?range=7d&group=endpoint"])
async def test_the_first_page_weighs_little(ann: Browser, address: str) -> None:
    page = await ann.get(address, Accept_Encoding="gzip")
    files = [await ann.get(file) for file in re.findall(r'(?:href|src)="(/static/[^"]+)"', page.text)]
    assert sum(_weight(answer) for answer in [page, *files]) <= HEAVIEST


def _weight(answer: Response) -> int:
    """As it travels; the client has unpacked it."""
    return len(gzip.compress(answer.content, 9)) + sum(
        len(name) + len(text) + 4 for name, text in answer.headers.items()
    )
