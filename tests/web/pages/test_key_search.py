"""Looking for a key by its secret: found by digest, and no more of it in an address, page or log than a mask shows."""

import logging
import re
from collections.abc import Awaitable, Callable
from urllib.parse import quote, urlencode

import pytest
from sqlalchemy import event, text

from portal import keys
from portal.core.database import Database
from portal.keys.secrets import assemble_secret
from tests.web.conftest import Browser

Browsers = Callable[..., Awaitable[Browser]]
BODY_CHARACTERS = 36
UNKNOWN = assemble_secret("pk", "live", "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5")
AROUND = ["{}", "  {} ", "Bearer {}", "Authorization: Bearer {}", "API_KEY={}", '"{}"', "key={}&x=1", "{}.", "({})"]


async def new_secret(browser: Browser, name: str = "Wanted") -> tuple[str, str]:
    """A key's id and secret."""
    page = await browser.reveal("/keys/new", name=name, environment="live", expiry="never")
    secret, key_id = re.search(r"pk_live_\w{36}", page.text), re.search(r'href="/keys/(key_\w+)"', page.text)
    assert secret is not None
    assert key_id is not None
    await browser.submit(f"{page.url.path}/stored")
    return key_id[1], secret[0]


def pieces(secret: str) -> list[str]:
    """What of a secret may be nowhere: any nine characters of its body."""
    body = secret[-BODY_CHARACTERS:]
    return [body[start : start + 9] for start in range(BODY_CHARACTERS - 8)]


@pytest.mark.parametrize("around", AROUND)
async def test_a_pasted_secret_leads_to_its_key(
    ann: Browser, caplog: pytest.LogCaptureFixture, database: Database, around: str
) -> None:
    caplog.set_level(logging.DEBUG)
    key_id, secret = await new_secret(ann)
    await new_secret(ann, "Another")
    answer = await ann.submit("/keys/search", q=around.format(secret))
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/keys/{key_id}")
    page = await ann.get(answer.headers["Location"])
    assert "This is the key that you searched for. The secret is its current one." in page.text
    typed = await ann.client.post(
        "/keys/search",
        content=urlencode({"q": around.format(secret)}),
        headers={
            "Content-Type": "application/x-www-form-urlencoded",
            "Sec-Fetch-Site": "same-origin",
            "HX-Request": "true",
        },
    )
    assert typed.headers["HX-Redirect"] == f"/keys/{key_id}"
    told = "".join([page.text, typed.text, str(answer.headers), str(typed.headers), caplog.text])
    assert not [piece for piece in pieces(secret) if piece in told]


async def test_an_older_secret_is_found_and_named_so(ann: Browser) -> None:
    key_id, secret = await new_secret(ann)
    await ann.reveal(f"/keys/{key_id}/rotate", overlapSeconds="3600")
    answer = await ann.submit("/keys/search", q=secret)
    assert "an older one, which works until" in (await ann.get(answer.headers["Location"])).text
    await ann.reveal(f"/keys/{key_id}/rotate", overlapSeconds="3600")
    await ann.submit("/keys/search", q=secret)
    assert "an older one, which ended" in (await ann.get(answer.headers["Location"])).text


@pytest.mark.parametrize("length", range(5, BODY_CHARACTERS))
async def test_a_long_beginning_is_matched_by_the_mask(ann: Browser, length: int) -> None:
    key_id, secret = await new_secret(ann)
    begun = secret[: len("pk_live_") + length]
    answer = await ann.submit("/keys/search", q=begun, environment="live")
    masked = quote(f"{secret[:12]}…")
    assert answer.headers["Location"] == f"/keys?q={masked}&environment=live"
    page = await ann.get(answer.headers["Location"])
    assert key_id in page.text
    assert secret[8:17] not in page.text


@pytest.mark.parametrize("text_like_a_secret", [UNKNOWN, "pat_" + "aB3-_x" * 7, "svc_" + "Zz9_-q" * 7, UNKNOWN[-36:]])
async def test_what_is_no_key_here_is_not_repeated(ann: Browser, browsers: Browsers, text_like_a_secret: str) -> None:
    _, theirs = await new_secret(await browsers())
    await new_secret(ann)
    for secret in (text_like_a_secret, theirs):
        answer = await ann.submit("/keys/search", q=secret)
        assert answer.headers["Location"].startswith("/keys?q=")
        page = await ann.get(answer.headers["Location"])
        assert "No key matches" in page.text
        assert not [piece for piece in pieces(secret) if piece in page.text + answer.headers["Location"]]


async def test_a_plain_search_stays_in_the_address(ann: Browser) -> None:
    await new_secret(ann, "Nightly import")
    answer = await ann.submit("/keys/search", q="nightly", status="active", environment="")
    assert answer.headers["Location"] == "/keys?q=nightly&status=active"
    assert "Nightly import" in (await ann.get(answer.headers["Location"])).text
    assert (await ann.get("/keys/search")).headers["Location"] == "/keys"


@pytest.mark.parametrize("page", ["/keys", "/usage", "/usage/requests", "/activity", "/plan", "/settings"])
async def test_an_address_with_a_secret_is_left_at_once(ann: Browser, anonymous: Browser, page: str) -> None:
    _, secret = await new_secret(ann)
    for name in ("q", "key", "endpoint", "subject", "anything"):
        answer = await ann.get(f"{page}?{name}={secret}")
        assert answer.status_code == 303
        assert secret[12:-4] not in answer.headers["Location"] + answer.text
        nobody = await anonymous.get(f"{page}?{name}={secret}")
        assert secret[12:-4] not in nobody.headers["Location"]


@pytest.mark.parametrize("page", ["/sign-in", "/sign-up"])
@pytest.mark.parametrize("quoted", [str, quote, lambda text: quote(quote(text)), lambda text: text.replace("_", "%5F")])
@pytest.mark.parametrize("target", ["{}", "/keys?q={}", "/usage?range=7d&endpoint={}", "/{}", "/keys/{}", "/x?a=%20{}"])
async def test_no_way_in_repeats_a_secret(
    anonymous: Browser, page: str, quoted: Callable[[str], str], target: str
) -> None:
    """In the address that leads here, however it is quoted, and in a field of a form that a stranger made."""
    for name in ("next", "anything"):
        answer = await anonymous.get(f"{page}?{name}={quoted(quote(target.format(UNKNOWN)))}")
        while answer.status_code == 303:
            assert UNKNOWN[12:-4] not in answer.headers["Location"]
            answer = await anonymous.get(answer.headers["Location"])
        assert answer.status_code == 200
        assert UNKNOWN[12:-4] not in answer.text
    form = {"email": "nobody@example.com", "password": "wrong horse battery", "next": quoted(target.format(UNKNOWN))}
    refused = await anonymous.submit("/sign-in", **form)
    assert UNKNOWN[12:-4] not in refused.text


@pytest.mark.parametrize("wrong", [UNKNOWN, UNKNOWN[-36:], "pat_" + "aB3-_x" * 7, "x" * 26 + "!", ""])
async def test_a_request_is_found_by_an_id_only(ann: Browser, wrong: str) -> None:
    request_id = "req_06C4A9VVRNH4SWM86X1PG3KH02"
    for text_of_id in (request_id, request_id.lower(), request_id[4:]):
        answer = await ann.submit("/usage/requests/find", id=text_of_id)
        assert answer.headers["Location"] == f"/usage/requests/{request_id}"
    for answer in (
        await ann.submit("/usage/requests/find", id=wrong),
        await ann.get(f"/usage/requests/find?id={wrong}"),
    ):
        assert answer.headers["Location"] == "/usage/requests"
    assert "That is not a request id." in (await ann.get("/usage/requests")).text


async def test_postgresql_is_never_sent_it(ann: Browser, database: Database) -> None:
    """Nor could a statement that fails, or is slow, log it there."""
    _, secret = await new_secret(ann)
    sent: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, parameters: object, *_: object) -> None:
        sent.append(statement + repr(parameters))

    engine = database.engine.sync_engine
    event.listen(engine, "before_cursor_execute", note)
    async with database.transaction(ann.actor.account_id) as tx:
        for search in (secret, secret[:30], f"Bearer {secret}"):
            found = await keys.list_keys(tx, ann.actor.account_id, keys.KeyFilter(search=search), most=10)
            assert len(found) == 1
            assert await keys.count_keys(tx, ann.actor.account_id, keys.KeyFilter(search=search)) == 1
    event.remove(engine, "before_cursor_execute", note)
    assert sent
    assert not [piece for piece in pieces(secret) if piece in "".join(sent)]


async def test_a_secret_in_the_reason_is_kept_masked(ann: Browser, database: Database) -> None:
    key_id, secret = await new_secret(ann)
    await ann.submit(f"/keys/{key_id}/revoke", confirmName="Wanted", confirm="Wanted", reason=f"leaked: {secret}")
    page = await ann.get(f"/keys/{key_id}")
    assert f"leaked: {secret[:12]}…{secret[-4:]}" in page.text
    async with database.transaction() as tx:
        events = await tx.list(
            text("SELECT details::text FROM audit_events WHERE subject = :key"), {"key": key_id}, returns=str
        )
    assert not [piece for piece in pieces(secret) if piece in page.text + "".join(events)]
