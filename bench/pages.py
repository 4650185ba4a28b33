"""`python -m bench.pages`: every SQL statement that the portal's pages send, timed one by one, on the demo's data.

The pages are found as a visitor finds them, by their links, so a new one is measured without a word here. The real web
process in this process, on servers of its own; a statement's time is from sending it to its answer, as SQLAlchemy sees
it, so the driver's work in Python is part of it. Forms that are sent, and downloads, are not pages.
"""

import asyncio
import re
import sys
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from statistics import median, quantiles
from time import perf_counter
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from httpx2 import ASGITransport, AsyncClient, Response
from sqlalchemy import Engine, event

from bench.contender import Sample, WrongAnswers
from bench.folders import own_folder
from portal.cli.demo.seed import DemoCredentials, ensure_demo
from portal.core.database import Database
from portal.core.embedded import start_services
from portal.core.settings import load_settings
from portal.runtime import open_container, open_web, prepare_database, tune_gc
from web.app import create_app

ORIGIN = "http://127.0.0.1:8000"
LOGINS = ("developer", "staff")
EACH = 2
"""Addresses of one kind: the same path but for ids, and the same names in its query."""
MAX_KINDS = 80
ROUNDS = 20
SHOWN = 5
_LINK = re.compile(r'<a\b[^>]*?\bhref="(/[^"#]*)"')
_ID = re.compile(r"\b[a-z]+_[0-9A-Za-z]{10,}\b")
Times = Mapping[str, Sequence[float]]


@dataclass(frozen=True, slots=True)
class Visited:
    """Milliseconds by statement and by kind of page, and how many statements a kind takes at most."""

    statements: Times
    pages: Times
    most: Mapping[str, int]


class Pages:
    """One sample has all rounds; its value is the p95 of the statement whose p95 is the worst."""

    name = "pages"
    unit = "ms (worst p95)"
    about = "single SQL statements of every page, demo data"

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def measure(self, _seconds: float) -> Sample:
        visited = await _visit((self._folder / "pages").absolute())
        statements, pages = _by_p95(visited.statements), _by_p95(visited.pages)
        return Sample(
            statements[0][1],
            {
                "statements": len(statements),
                "rounds": ROUNDS,
                "slowest_statements": [_statement(*row, visited.statements[row[0]]) for row in statements[:SHOWN]],
                "pages": [{"p95_ms": p95, "page": kind, "statements": visited.most[kind]} for kind, p95 in pages],
                "page_p95_ms": pages[0][1],
            },
        )


def _statement(sql: str, p95: float, times: Sequence[float]) -> dict[str, Any]:
    return {"p50_ms": round(median(times), 3), "p95_ms": p95, "sql": " ".join(sql.split())}


def _by_p95(times: Times) -> list[tuple[str, float]]:
    """The worst first."""
    found = [(name, round(quantiles(values, n=20)[-1], 3)) for name, values in times.items() if len(values) > 1]
    return sorted(found, key=lambda row: -row[1])


async def _visit(folder: Path) -> Visited:
    services = await start_services(folder)
    try:
        await prepare_database(services.database_url)
        settings = load_settings(
            database_url=services.database_url,
            redis_urls=list(services.redis_urls),
            data=folder,
            base_url=ORIGIN,
            amqp_url=None,
        )
        async with open_container(settings) as parts:
            demo = await ensure_demo(parts, settings.data)
            await _analyze(parts.database)
            async with open_web(parts) as web:
                tune_gc()
                return await _walk(create_app(web), parts.database, demo)
    finally:
        await services.stop()


async def _analyze(database: Database) -> None:
    """As autovacuum does within a minute or two of any other start."""
    async with database.owner_connection() as connection:
        await connection.exec_driver_sql("VACUUM (ANALYZE)")


async def _walk(app: Any, database: Database, demo: DemoCredentials) -> Visited:
    statements, pages = defaultdict[str, list[float]](list), defaultdict[str, list[float]](list)
    most: dict[str, int] = {}
    for login in LOGINS:
        async with _signed_in(app, demo.logins[login]) as client:
            addresses = await _find_pages(client)
            for _ in range(ROUNDS):
                for address in addresses:
                    with _timed(database.engine.sync_engine) as sent:
                        begin = perf_counter()
                        _page(address, await client.get(address))
                        pages[kind_of(address)].append((perf_counter() - begin) * 1000)
                    most[kind_of(address)] = max(most.get(kind_of(address), 0), len(sent))
                    for sql, took in sent:
                        statements[sql].append(took * 1000)
    return Visited(statements, pages, most)


@asynccontextmanager
async def _signed_in(app: Any, login: Mapping[str, str]) -> AsyncIterator[AsyncClient]:
    headers = {"Accept": "text/html", "Sec-Fetch-Site": "same-origin"}
    async with AsyncClient(transport=ASGITransport(app), base_url=ORIGIN, headers=headers) as client:
        fields = {"email": login["email"], "password": login["password"]}
        answer = await client.post("/sign-in", data=fields)
        if answer.status_code != 303:
            raise WrongAnswers(f"sign-in: {answer.status_code}")
        yield client


async def _find_pages(client: AsyncClient) -> list[str]:
    """By links from the first page, breadth first, EACH of a kind."""
    found, seen, waiting, number = [], {"/"}, ["/"], defaultdict[str, int](int)
    while waiting:
        address = waiting.pop(0)
        if number[kind_of(address)] >= EACH or len(number) > MAX_KINDS:
            continue
        answer = await client.get(address)
        if answer.is_redirect:
            links = [answer.headers["location"]]
        elif not answer.headers.get("content-type", "").startswith("text/html"):
            continue
        else:
            number[kind_of(address)] += 1
            found.append(_page(address, answer))
            links = [unescape(link) for link in _LINK.findall(answer.text)]
        waiting += [link for link in dict.fromkeys(links) if link not in seen]
        seen.update(links)
    return found


def _page(address: str, answer: Response) -> str:
    if answer.status_code != 200:
        raise WrongAnswers(f"{address}: {answer.status_code}")
    return address


def kind_of(address: str) -> str:
    """/keys/key_… is the kind /keys/{id}; names in the query count, their values do not."""
    parts = urlsplit(address)
    names = sorted({name for name, _ in parse_qsl(parts.query)})
    return _ID.sub("{id}", parts.path) + (f"?{'&'.join(names)}" if names else "")


@contextmanager
def _timed(engine: Engine) -> Iterator[list[tuple[str, float]]]:
    """What is sent inside, with the seconds that each took."""
    sent: list[tuple[str, float]] = []

    def before(_connection: Any, _cursor: Any, _sql: str, _values: Any, context: Any, _many: bool) -> None:
        context.sent_at = perf_counter()

    def after(_connection: Any, _cursor: Any, sql: str, _values: Any, context: Any, _many: bool) -> None:
        sent.append((sql, perf_counter() - context.sent_at))

    event.listen(engine, "before_cursor_execute", before)
    event.listen(engine, "after_cursor_execute", after)
    try:
        yield sent
    finally:
        event.remove(engine, "before_cursor_execute", before)
        event.remove(engine, "after_cursor_execute", after)


async def _print(folder: Path) -> None:
    sample = await Pages(folder).measure(0)
    for page in sample.details["pages"]:
        sys.stdout.write(f"{page['p95_ms']:8.2f} ms  {page['statements']:3} statements  {page['page']}\n")
    for statement in sample.details["slowest_statements"]:
        sys.stdout.write(f"{statement['p95_ms']:8.2f} ms  {statement['sql'][:200]}\n")


if __name__ == "__main__":
    with own_folder() as made:
        asyncio.run(_print(made))
