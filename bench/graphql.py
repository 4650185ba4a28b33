"""`python -m bench.graphql [--rounds N] [--attacks]`: GraphQL in-process on demo data, and attacks.

Each figure is one operation from text to answer, its transaction included; HTTP and the allowance are not.
"""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from pathlib import Path
from time import perf_counter
from typing import Any

from portal.accounts import Person, authenticate_token
from portal.cli.demo.seed import ensure_demo
from portal.core.actor import Actor
from portal.core.clock import utc_now
from portal.core.embedded import start_services
from portal.core.settings import load_settings
from portal.graphql import Options, execute, prepare, schema
from portal.runtime import Container, open_container, prepare_database
from tests.web.attacks.documents import documents
from web.pages.framework.page import document

OVERVIEW = """
query Overview($from: DateTime!, $to: DateTime!) {
  viewer { person { name email } account { name timeZone } permissions }
  quota { limit used remaining periodStart periodEnd }
  keys(first: 10) { totalCount nodes { id name status maskedSecret lastUsedAt expiresAt } }
  usage(from: $from, to: $to, granularity: DAY) {
    freshAt totals { calls allowed denied } points { at totals { allowed denied } }
  }
}
"""
Ask = Callable[[], Awaitable[Any]]


async def main(rounds: int, *, with_attacks: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        services = await start_services(Path(folder) / "services")
        try:
            await prepare_database(services.database_url)
            data = Path(folder) / "portal"
            data.mkdir()
            settings = load_settings(
                database_url=services.database_url, redis_urls=list(services.redis_urls), data=data
            )
            async with open_container(settings) as parts:
                demo = await ensure_demo(parts, settings.data)
                actor, person = await _developer(parts, demo.logins["developer"]["token"])
                for name, text, variables in _documents():
                    await _measure(name, rounds, _asking(parts, (actor, person), text, variables))
        finally:
            await services.stop()
    if with_attacks:
        _measure_attacks()


async def _developer(parts: Container, token: str) -> tuple[Actor, Person]:
    async with parts.database.transaction() as tx:
        found = await authenticate_token(tx, token, None)
    if found is None:
        raise RuntimeError("the demo's token is not known")
    return found.actor, found.person


def _documents() -> list[tuple[str, str, Mapping[str, Any]]]:
    to = utc_now()
    month = {"from": (to - timedelta(days=30)).isoformat(), "to": to.isoformat()}
    usage = {
        **month,
        "before": (to - timedelta(days=60)).isoformat(),
        "granularity": "DAY",
        "timeZone": "Europe/Berlin",
        "groupBy": "KEY",
        "filter": {},
    }
    overview = {
        **month,
        "day": (to - timedelta(hours=14)).isoformat(),
        "now": to.isoformat(),
        "dayBefore": (to - timedelta(hours=38)).isoformat(),
        "sameTime": (to - timedelta(hours=24)).isoformat(),
        "timeZone": "Europe/Berlin",
        "withActivity": True,
    }
    return [
        ("trivial", "{ __typename }", {}),
        ("viewer", "{ viewer { role } }", {}),
        ("overview", OVERVIEW, month),
        ("overview page", document("overview/page"), overview),
        ("keys page", document("keys/key_list"), {**month, "first": 25, "timeZone": "Europe/Berlin"}),
        ("usage page", document("usage/usage_page"), usage),
    ]


def _asking(parts: Container, caller: tuple[Actor, Person], text: str, variables: Mapping[str, Any]) -> Ask:
    async def ask() -> Any:
        result = await execute(parts.database, *caller, text, variables, Options(timeout_seconds=30))
        if result.errors:
            raise RuntimeError(result.errors)
        return result

    return ask


async def _measure(name: str, rounds: int, ask: Ask) -> None:
    for _ in range(20):
        await ask()
    times = []
    for _ in range(rounds):
        began = perf_counter()
        await ask()
        times.append((perf_counter() - began) * 1000)
    _tell(name, times)


def _measure_attacks() -> None:
    """Reading and refusing a hostile document: the time for which it holds the event loop."""
    times = {}
    for entry in documents():
        began = perf_counter()
        prepare(schema.graphql_schema, entry.text, is_anonymous=True)
        times[entry.name] = (perf_counter() - began) * 1000
    worst = max(times, key=lambda name: times[name])
    _tell(f"{len(times)} hostile documents", [*times.values()])
    sys.stdout.write(f"  the slowest is {worst}\n")


def _tell(name: str, times: list[float]) -> None:
    ordered = sorted(times)
    p50, p95 = ordered[len(ordered) // 2], ordered[int(len(ordered) * 0.95)]
    sys.stdout.write(f"{name:24} p50 {p50:7.2f} ms   p95 {p95:7.2f} ms   most {ordered[-1]:7.2f} ms\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.graphql", description=__doc__)
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--attacks", action="store_true")
    given = parser.parse_args()
    asyncio.run(main(given.rounds, with_attacks=given.attacks))
