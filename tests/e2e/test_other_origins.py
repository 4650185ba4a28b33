"""A frontend on another origin, in Chromium: fetch, events, WebSocket and export, with a token, never a cookie."""

import asyncio
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
PAGE = b"<!doctype html><title>App</title>"
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
async def frontend_port() -> AsyncIterator[int]:
    """Yield the port of a server of one empty page, under any name that ends with localhost."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
        writer.write(head % len(PAGE) + PAGE)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


@pytest.fixture(scope="module")
async def open_portal(
    services: EmbeddedServices, database: Database, frontend_port: int, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[RunningPortal]:
    """Yield a portal that lists one other origin; `database` is asked for because it migrates."""
    folder: Path = tmp_path_factory.mktemp("origins")
    urls = list(services.redis_urls)
    listed = f"http://app.localhost:{frontend_port}"
    async with running_portal(services.database_url, urls, folder, allowed_origins=listed) as portal:
        yield portal


async def page_of(chromium: Browser, origin: str, portal: RunningPortal) -> tuple[Page, str]:
    """Return a page of that origin in a browser that is signed in to the portal, and a token of the same person."""
    login = await new_login(portal.database)
    async with portal.database.transaction(actor=login.actor) as tx:
        token = (await accounts.create_personal_token(tx, login.actor, "frontend")).token
    context = await chromium.new_context()
    session = await new_session(portal.database, login)
    await context.add_cookies([{"name": "session", "value": session, "url": portal.url}])
    tab = await context.new_page()
    await tab.goto(f"{origin}/")
    return tab, token


async def test_a_listed_origin_calls_with_its_token(
    chromium: Browser, open_portal: RunningPortal, frontend_port: int
) -> None:
    tab, token = await page_of(chromium, f"http://app.localhost:{frontend_port}", open_portal)
    answered: dict[str, Any] = await tab.evaluate(FETCH, [open_portal.url, token, "same-origin"])
    assert answered["body"]["data"] == {"viewer": {"role": "owner"}}
    assert answered["rate"].startswith('"graphql"')
    assert "event: next" in await tab.evaluate(EVENTS, [open_portal.url, token])
    assert await tab.evaluate(SOCKET, [open_portal.url, token]) == "connection_ack"
    exported = await tab.evaluate(EXPORTED, [open_portal.url + EXPORT, token])
    assert exported["status"] == 200
    assert "usage-days" in exported["name"]
    await tab.context.close()


async def test_a_listed_origin_gets_nothing_by_cookie(
    chromium: Browser, open_portal: RunningPortal, frontend_port: int
) -> None:
    tab, _ = await page_of(chromium, f"http://app.localhost:{frontend_port}", open_portal)
    without: dict[str, Any] = await tab.evaluate(FETCH, [open_portal.url, "", "same-origin"])
    assert without["body"]["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
    assert "refused" in await tab.evaluate(FETCH, [open_portal.url, "", "include"])
    assert await tab.evaluate(SOCKET, [open_portal.url, ""]) == 4401
    await tab.context.close()


async def test_another_origin_reads_nothing_even_with_a_token(
    chromium: Browser, open_portal: RunningPortal, frontend_port: int
) -> None:
    tab, token = await page_of(chromium, f"http://stranger.localhost:{frontend_port}", open_portal)
    assert "refused" in await tab.evaluate(FETCH, [open_portal.url, token, "same-origin"])
    assert await tab.evaluate(SOCKET, [open_portal.url, token]) == 1006
    await tab.context.close()
