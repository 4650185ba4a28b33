"""A thousand subscriptions: what they cost in memory, that all are told, and that leaving gives everything back."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

from sqlalchemy import text

from tests.faults.tools.place import Customer, Place
from tests.faults.tools.processes import Served
from tests.faults.tools.report import Report, sized
from tests.web.live.clients import TICKS, Client, greeted_at

SUBSCRIPTIONS = 1_000
CONNECTIONS = sized(100, 1_000)
ACCOUNTS = 10
ROUNDS = sized(2, 6)
MAX_MEGABYTES = 150
MAX_LEAK_MEGABYTES = 25
USED = """
INSERT INTO usage_periods AS known (account_id, period, used) VALUES (:account, to_char(now(), 'YYYY-MM'), 7)
ON CONFLICT (account_id, period) DO UPDATE SET used = known.used + 7
"""


async def test_a_thousand_subscriptions_have_bounded_memory(place: Place, portal: Served, report: Report) -> None:
    customers = [await place.customer((100, 60_000)) for _ in range(ACCOUNTS)]
    await round_trip(place, portal, customers, connections=20)
    before, at_rest = megabytes(portal), []
    for _ in range(ROUNDS):
        held = await round_trip(place, portal, customers, CONNECTIONS)
        await asyncio.sleep(1)
        at_rest.append(megabytes(portal))
    growth = held - before
    report.tell(
        "subscriptions",
        f"{SUBSCRIPTIONS} on {CONNECTIONS} sockets of {ACCOUNTS} accounts: {before:.0f} MB before, {held:.0f} MB with "
        f"them ({growth * 1024 / SUBSCRIPTIONS:.1f} kB each), {at_rest[-1]:.0f} MB after {ROUNDS} rounds",
    )
    assert growth < MAX_MEGABYTES
    assert at_rest[-1] - at_rest[0] < MAX_LEAK_MEGABYTES


async def round_trip(place: Place, portal: Served, customers: list[Customer], connections: int) -> float:
    """Open all, see each told twice, drop all without a word. Returns the memory while all were open."""
    each = SUBSCRIPTIONS // connections if connections >= 100 else 1
    async with AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(greeted_at(portal.url, customers[number % ACCOUNTS].token))
            for number in range(connections)
        ]
        for client in clients:
            for number in range(each):
                await client.subscribe(str(number), TICKS)
        await told(clients, each)
        async with place.parts.database.transaction() as tx:
            for customer in customers:
                await tx.execute(text(USED), {"account": customer.actor.account_id})
        await told(clients, each)
        held = megabytes(portal)
        for client in clients:
            client.socket.transport.abort()
    return held


async def told(clients: list[Client], each: int) -> None:
    async with asyncio.timeout(120):
        for client in clients:
            names: set[str] = set()
            while len(names) < each:
                message = await client.receive()
                assert message["type"] == "next", message
                names.add(message["id"])


def megabytes(portal: Served) -> float:
    """Resident memory of all server processes."""
    pages = [int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in portal.children()]
    return sum(pages) * 4096 / 1024 / 1024
