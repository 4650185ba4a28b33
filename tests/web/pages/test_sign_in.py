"""Sign up, sign in, sign out, and what an ended session leads to."""

import pytest
from httpx2 import ASGITransport, AsyncClient
from sqlalchemy import text
from starlette.applications import Starlette

from portal.core.database import Database
from portal.core.ids import new_id
from portal.core.settings import Settings
from portal.runtime import Container, open_container, open_web
from tests.web.conftest import PASSWORD, SAME_ORIGIN, Browser
from web.app import create_app
from web.auth.session import safe_next


def new_person() -> dict[str, str]:
    return {
        "email": f"{new_id('t').lower()}@example.com",
        "password": PASSWORD,
        "name": "Ann Lee",
        "account": "Northwind Labs",
    }


async def test_signing_up_signs_in(anonymous: Browser) -> None:
    answer = await anonymous.submit("/sign-up", **new_person())
    assert (answer.status_code, answer.headers["Location"]) == (303, "/")
    page = await anonymous.get("/keys")
    assert page.status_code == 200
    assert "Northwind Labs" in page.text


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("email", "nobody", "This is not an e-mail address."),
        ("password", "short", "The password has 5 characters; it needs at least 8."),
        ("account", " ", "A name has 1 to 100"),
        ("name", "", "A name has 1 to 100"),
    ],
)
async def test_a_mistake_is_shown_beside_its_field(anonymous: Browser, field: str, value: str, message: str) -> None:
    answer = await anonymous.submit("/sign-up", **(new_person() | {field: value}))
    assert answer.status_code == 422
    assert f'id="{field}-problem">{message}' in answer.text
    assert (
        f'id="{field}" name="{field}" aria-invalid="true" aria-describedby="{field}-problem" autofocus' in answer.text
    )
    assert answer.text.count("autofocus") == 1
    assert PASSWORD not in answer.text


async def test_a_known_address_is_a_conflict(anonymous: Browser) -> None:
    person = new_person()
    await anonymous.submit("/sign-up", **person)
    anonymous.client.cookies.clear()
    answer = await anonymous.submit("/sign-up", **person)
    assert answer.status_code == 409
    assert "Sign in instead." in answer.text


async def test_an_address_with_a_character_that_cannot_be_stored_is_refused(anonymous: Browser) -> None:
    person = new_person() | {"email": "a\0nn@example.com"}
    for path in ("/sign-up", "/sign-in"):
        answer = await anonymous.submit(path, **person)
        assert answer.status_code == 422
        assert "U+0000" in answer.text


async def test_a_wrong_password_and_an_unknown_address_get_the_same_answer(ann: Browser, app: Starlette) -> None:
    answers = []
    for email in (ann.email, f"{new_id('t').lower()}@example.com"):
        other = Browser(app)
        answer = await other.submit("/sign-in", email=email, password="wrong wrong wrong")
        answers.append((answer.status_code, "E-mail address and password do not match." in answer.text))
        await other.client.aclose()
    assert answers == [(422, True), (422, True)]


async def test_the_cookie_is_out_of_reach_of_scripts(anonymous: Browser) -> None:
    answer = await anonymous.submit("/sign-up", **new_person())
    cookie = answer.headers["Set-Cookie"]
    assert cookie.startswith("session=")
    assert "HttpOnly; Max-Age=43200; Path=/; SameSite=lax" in cookie
    assert "Secure" not in cookie


async def test_over_https_the_cookie_is_pinned_to_the_host(settings: Settings, database: Database) -> None:
    secure = settings.model_copy(update={"base_url": "https://portal.example", "data": settings.data / "https"})
    async with open_container(secure) as parts, open_web(parts) as services:
        ann = Browser(create_app(services), "https://portal.example")
        answer = await ann.submit("/sign-up", **new_person())
        assert answer.headers["Set-Cookie"].startswith("__Host-session=")
        assert "; Secure" in answer.headers["Set-Cookie"]
        assert answer.headers["Strict-Transport-Security"].startswith("max-age=")
        assert (await ann.get("/keys")).status_code == 200
        await ann.client.aclose()


async def test_signing_in_again_ends_the_session_before(ann: Browser) -> None:
    before = ann.client.cookies["session"]
    fields = {"email": ann.email, "password": PASSWORD}
    answer = await ann.post("/sign-in", fields)
    assert answer.status_code == 303
    assert ann.client.cookies["session"] != before
    ann.client.cookies.clear()
    ann.client.cookies["session"] = before
    assert (await ann.get("/keys")).status_code == 303


async def test_signing_out_ends_the_session(ann: Browser) -> None:
    token = ann.client.cookies["session"]
    answer = await ann.submit("/sign-out")
    assert answer.headers["Location"] == "/sign-in"
    assert "You are signed out." in (await ann.get("/sign-in")).text
    assert "You are signed out." not in (await ann.get("/sign-in")).text
    ann.client.cookies["session"] = token
    assert (await ann.get("/keys")).status_code == 303


@pytest.mark.parametrize("column", ["seen_at", "expires_at"])
async def test_an_idle_or_old_session_leads_to_sign_in_and_back(ann: Browser, database: Database, column: str) -> None:
    async with database.transaction() as tx:
        statement = text(f"UPDATE sessions SET {column} = now() - interval '31 minutes' WHERE account_id = :account")
        await tx.execute(statement, {"account": ann.actor.account_id})
    page = await ann.get("/usage?range=7d")
    assert page.headers["Location"] == "/sign-in?next=/usage%3Frange%3D7d"
    part = await ann.get("/usage?group=key", HX_Request="true", HX_Current_URL="http://127.0.0.1:8000/usage?range=24h")
    assert part.headers["HX-Redirect"] == "/sign-in?next=/usage%3Frange%3D24h"
    answer = await ann.submit("/sign-in", email=ann.email, password=PASSWORD, next="/usage?range=7d")
    assert answer.headers["Location"] == "/usage?range=7d"


@pytest.mark.parametrize(
    ("target", "safe"),
    [
        ("/usage?range=7d", "/usage?range=7d"),
        (None, "/"),
        ("", "/"),
        ("https://evil.example/", "/"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("/x\\..\\y", "/"),
        ("/x\nSet-Cookie: a=b", "/"),
        ("javascript:alert(1)", "/"),
        ("/keys?q=" + "x" * 4096, "/"),
        ("/keys?q=" + "%25" * 1000, "/keys?q=" + "%25" * 1000),
    ],
)
def test_only_paths_of_this_site_are_gone_back_to(target: str | None, safe: str) -> None:
    assert safe_next(target) == safe


async def test_too_many_attempts_are_told_to_wait(app: Starlette, parts: Container) -> None:
    email = f"{new_id('t').lower()}@example.com"
    transport = ASGITransport(app, client=("198.51.100.9", 5000))
    async with AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:
        fields = {"email": email, "password": "wrong wrong"}
        statuses = [(await client.post("/sign-in", data=fields, headers=SAME_ORIGIN)).status_code for _ in range(8)]
    assert statuses[:5] == [422] * 5
    assert statuses[-1] == 429
