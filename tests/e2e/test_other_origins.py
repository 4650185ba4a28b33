"""A frontend on another origin, in Chromium: fetch, events, WebSocket and export, with a token, never a cookie."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Page

from portal import accounts
from portal.core.database import Database
from portal.core.embedded import EmbeddedServices
from tests.e2e.running import RunningPortal, new_login, new_session, running_portal

pytestmark = pytest.mark.e2e
APP, STRANGER = "http://app.localhost:9", "http://stranger.localhost:9"
EXPORT = "/usage/export?from=2026-11-01T00:00:00Z&to=2026-11-02T00:00:00Z&rows=days"
FETCH = """async ([url, token, credentials]) => {
  const headers = {"Content-Type": "application/json", "Idempotency-Key": "x"};
  if (token) headers.Authorization = `Bearer ${token}`;
  try {
    const answer = await fetch(url + "/graphql", {
      method: "POST", headers, credentials, body: JSON.stringify({query: "{ viewer { role } }"}),
    });
    return {body: await answer.json(), rate: answer.headers.get("RateLimit"), status: answer.status};
  } catch (error) { return {refused: String(error)}; }
}"""
EVENTS = """async ([url, token]) => {
  const answer = await fetch(url + "/graphql/stream", {
    method: "POST",
    headers: {"Content-Type": "application/json", Authorization: `Bearer ${token}`, Accept: "text/event-stream"},
    body: JSON.stringify({query: "subscription { usageTicks { calls } }"}),
  });
  const reader = answer.body.getReader();
  const {value} = await reader.read();
  await reader.cancel();
  return new TextDecoder().decode(value);
}"""
SOCKET = """([url, token]) => new Promise((resolve) => {
  const socket = new WebSocket(url.replace("http", "ws") + "/graphql", "graphql-transport-ws");
  const payload = token ? {Authorization: `Bearer ${token}`} : {};
  socket.onopen = () => socket.send(JSON.stringify({type: "connection_init", payload}));
  socket.onmessage = (event) => { resolve(JSON.parse(event.data).type); socket.close(); };
  socket.onclose = (event) => resolve(event.code);
})"""
EXPORTED = """async ([url, token]) => {
  const answer = await fetch(url, {headers: {Authorization: `Bearer ${token}`}});
  return {status: answer.status, name: answer.headers.get("Content-Disposition"), text: await answer.text()};
}"""


@pytest.fixture(scope="module")
async def open_portal(
    services: EmbeddedServices, database: Database, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[RunningPortal]:
    """A portal that lists one other origin; `database` is asked for because it migrates."""
    folder: Path = tmp_path_factory.mktemp("origins")
    urls = list(services.redis_urls)
    async with running_portal(services.database_url, urls, folder, allowed_origins=APP) as portal:
        yield portal


async def page_of(chromium: Browser, origin: str, portal: RunningPortal) -> tuple[Page, str]:
    """A page of that origin in a browser that is signed in to the portal, and a token of the same person."""
    login = await new_login(portal.database)
    async with portal.database.transaction(actor=login.actor) as tx:
        token = (await accounts.create_personal_token(tx, login.actor, "frontend")).token
    context = await chromium.new_context()
    session = await new_session(portal.database, login)
    await context.add_cookies([{"name": "session", "value": session, "url": portal.url}])
    tab = await context.new_page()
    await tab.route(f"{origin}/", lambda route: route.fulfill(body="<title>App</title>", content_type="text/html"))
    await tab.goto(f"{origin}/")
    return tab, token


async def test_a_listed_origin_calls_with_its_token(chromium: Browser, open_portal: RunningPortal) -> None:
    tab, token = await page_of(chromium, APP, open_portal)
    told: dict[str, Any] = await tab.evaluate(FETCH, [open_portal.url, token, "same-origin"])
    assert told["body"]["data"] == {"viewer": {"role": "owner"}}
    assert told["rate"].startswith('"graphql"')
    assert "event: next" in await tab.evaluate(EVENTS, [open_portal.url, token])
    assert await tab.evaluate(SOCKET, [open_portal.url, token]) == "connection_ack"
    exported = await tab.evaluate(EXPORTED, [open_portal.url + EXPORT, token])
    assert exported["status"] == 200
    assert "usage-days" in exported["name"]
    await tab.context.close()


async def test_a_listed_origin_gets_nothing_by_cookie(chromium: Browser, open_portal: RunningPortal) -> None:
    tab, _ = await page_of(chromium, APP, open_portal)
    without: dict[str, Any] = await tab.evaluate(FETCH, [open_portal.url, "", "same-origin"])
    assert without["body"]["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
    assert "refused" in await tab.evaluate(FETCH, [open_portal.url, "", "include"])
    assert await tab.evaluate(SOCKET, [open_portal.url, ""]) == 4401
    await tab.context.close()


async def test_another_origin_reads_nothing_even_with_a_token(chromium: Browser, open_portal: RunningPortal) -> None:
    tab, token = await page_of(chromium, STRANGER, open_portal)
    assert "refused" in await tab.evaluate(FETCH, [open_portal.url, token, "same-origin"])
    assert await tab.evaluate(SOCKET, [open_portal.url, token]) == 1006
    await tab.context.close()
