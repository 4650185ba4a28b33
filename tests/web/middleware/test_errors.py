"""What people and programs see when something fails."""

import re
from dataclasses import replace
from functools import partial
from sys import modules

import pytest
from sqlalchemy import text
from starlette.applications import Starlette

from portal.core.database import Database
from portal.graphql import Options
from tests.web.conftest import Browser
from web.app import create_app
from web.services import WebServices


async def test_an_unknown_address(anonymous: Browser) -> None:
    page = await anonymous.get("/nothing/here")
    assert page.status_code == 404
    assert page.headers["X-Request-Id"] in page.text
    problem = await anonymous.get("/nothing/here", Accept="application/json")
    assert problem.headers["Content-Type"] == "application/problem+json"
    assert problem.json()["requestId"] == problem.headers["X-Request-Id"]


async def test_a_place_in_a_list_that_is_none_leads_to_the_first_page(ann: Browser) -> None:
    page = await ann.get("/keys?status=revoked&after=garbage")
    assert (page.status_code, page.headers["Location"]) == (303, "/keys?status=revoked")


async def test_a_wrong_method(ann: Browser) -> None:
    answer = await ann.post("/usage", {})
    assert answer.status_code == 405
    assert {*answer.headers["Allow"].split(", ")} == {"GET", "HEAD"}


async def test_an_error_of_ours_has_a_page_with_its_id(ann: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("web.pages.framework.page.shown_query", lambda *_: 1 / 0)
    page = await ann.get("/keys")
    assert page.status_code == 500
    assert page.headers["X-Request-Id"] in page.text
    assert "ZeroDivisionError" not in page.text
    assert page.headers["Content-Security-Policy"]


async def test_without_the_database_pages_say_what_still_works(app: Starlette) -> None:
    services: WebServices = app.state.services
    away = Database("postgresql+asyncpg://nobody@127.0.0.1:9/none")
    ann = Browser(create_app(replace(services, database=away)))
    ann.client.cookies["session"] = "some-token"
    page = await ann.get("/keys")
    assert page.status_code == 503
    assert page.headers["Retry-After"] == "5"
    assert "recently used keys are verified as before" in page.text
    assert re.search(r'href="/keys">Try again', page.text)
    sign_in = await ann.get("/sign-in")
    assert sign_in.status_code == 503
    ann.client.cookies.clear()
    answer = await ann.submit("/sign-in", email="a@example.com", password="x")
    assert answer.status_code == 503
    assert "most likely not saved" in answer.text
    assert (await ann.get("/livez")).status_code == 200
    assert (await ann.get("/readyz/check")).status_code == 200
    ready = await ann.get("/readyz/portal?verbose")
    assert ready.status_code == 503
    assert ready.json()["parts"]["redis"] == "ok"
    assert ready.json()["parts"]["postgresql"].startswith("failed: ")
    await ann.client.aclose()
    await away.close()


async def test_a_page_that_takes_too_long_says_so(
    ann: Browser, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    # By its module: the package exports a function of the same name.
    monkeypatch.setattr(modules["web.pages.framework.page"], "Options", partial(Options, timeout_seconds=0.2))
    async with database.owner_transaction() as tx:
        await tx.execute(text("LOCK TABLE keys IN ACCESS EXCLUSIVE MODE"))
        page = await ann.get("/")
    assert (page.status_code, page.headers["Retry-After"]) == (503, "5")
    assert "took too long" in page.text
    assert "database" not in page.text
