"""A running portal whose PostgreSQL is put back to a backup, then finished with the commands of the guide.

What was counted since comes back from the journals, exactly; what was taken away since stays away, on every process.
"""

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx2

from portal.accounts import create_service_token, revoke_service_token
from portal.core.actor import SYSTEM
from tests.cli.demo_portal import run_portal
from tests.faults.conftest import serve
from tests.faults.test_restore import Site, open_site
from tests.faults.tools.asked import Asked
from tests.faults.tools.place import Customer, Place, ask_graphql
from tests.faults.tools.processes import Served
from tests.faults.tools.report import Report, sized

BEFORE, SINCE, DURING = sized(30, 2_000), sized(80, 20_000), sized(20, 500)
SEGMENT_BYTES = "4096"
"""Small, so that some segments are shipped and kept, and others are still written."""
REVOKE = "mutation ($id: ID!) { revokeKey(id: $id) { __typename } }"
PAUSE = "mutation ($id: ID!) { pauseKey(id: $id) { __typename } }"


async def test_a_restored_portal_has_every_count_again_and_no_right_more(tmp_path: Path, report: Report) -> None:
    async with open_site(tmp_path / "site") as site:
        async with site.parts.database.transaction() as tx:
            token = (await create_service_token(tx, SYSTEM, "gateway")).token
            dropped = await create_service_token(tx, SYSTEM, "dropped")
        place = Place(site.services, site.parts, token)
        async with serve(
            place, tmp_path, PORTAL_CHECK_DEADLINE_MS="1000", PORTAL_JOURNAL_SEGMENT_BYTES=SEGMENT_BYTES
        ) as served:
            await _restore_under_traffic(site, place, served, dropped.token, dropped.row.id, report)


async def _restore_under_traffic(
    site: Site, place: Place, served: Served, dropped_token: str, dropped_id: str, report: Report
) -> None:
    customer = await place.customer((10_000_000, 60_000), monthly_quota=10_000_000)
    kept, *others = await place.make_keys(customer, 3)
    asked = Asked()
    async with served.a_client_each() as clients, httpx2.AsyncClient(base_url=served.url, timeout=30) as http:
        await _ask(asked, clients, kept.secret, BEFORE)
        await place.await_stored(asked.ids())
        await site.back_up()
        await _until_graphql_answers(http, customer)
        for document, other in zip((REVOKE, PAUSE), others, strict=True):
            await ask_graphql(http, customer, document, id=other.key.id)
        async with site.parts.database.transaction() as tx:
            await revoke_service_token(tx, SYSTEM, dropped_id)
        made_since = (await place.make_keys(customer))[0]
        await _ask(asked, clients, kept.secret, SINCE)
        await place.await_stored(asked.ids())

        await site.restore()
        lost = len(asked.ids()) - len(await place.stored(asked.ids()))
        assert lost >= SINCE
        checking = asyncio.create_task(_ask(asked, clients, kept.secret, DURING))
        shipped = await _command(served, "journal", "ship", served.settings["PORTAL_DATA"], "--again", "--json")
        await checking
        assert shipped["shipped"] >= SINCE
        assert shipped["damaged"] == []
        await place.await_stored(asked.ids())
        told = await _command(served, "restore", "finish", "--json")
        again = await _command(served, "restore", "finish", "--json")
        ledgers = await place.ledgers(customer.actor.account_id)
        assert (ledgers.calls, ledgers.billable) == (len(asked.ids()),) * 2
        for client in clients:
            quota = (await client.check({"key": kept.secret, "cost": 0})).document["quota"]
            assert quota["used"] == ledgers.billable
            codes = [(await client.check({"key": one.secret})).document["code"] for one in others]
            assert codes == ["REVOKED", "DISABLED"]
        report.tell(
            "restored under traffic", f"{lost} counts lost, {shipped['shipped']} shipped again, 0 missing, 0 twice"
        )
    assert told["unknown_keys"] == {customer.actor.account_id: [made_since.key.id, *_secret_ids(told, customer)]}
    assert dropped_id in told["revoked_tokens"]
    assert (again["changed"], again["revoked_tokens"], again["healed"]) == ({}, [], 0)
    code, out, err = await run_portal("usage", "audit", **served.settings)
    assert code == 0, out + err
    async with httpx2.AsyncClient(base_url=served.url, headers={"Authorization": f"Bearer {dropped_token}"}) as http:
        assert (await http.post("/check", json={"key": kept.secret})).status_code == 401


def _secret_ids(told: dict[str, Any], customer: Customer) -> list[str]:
    return [id_ for id_ in told["unknown_keys"][customer.actor.account_id] if not id_.startswith("key_")]


async def _ask(asked: Asked, clients: list[Any], secret: str, count: int) -> None:
    for number in range(count):
        answer = await asked.ask(clients[number % len(clients)], secret)
        assert (answer.status, answer.document.get("code")) == (200, "VALID"), answer


async def _until_graphql_answers(http: httpx2.AsyncClient, customer: Customer) -> None:
    async with asyncio.timeout(30):
        while True:
            answer = await http.post(
                "/graphql",
                json={"query": "{ viewer { person { email } } }"},
                headers={"Authorization": f"Bearer {customer.token}"},
            )
            if answer.status_code == 200:
                return
            await asyncio.sleep(0.1)


async def _command(served: Served, *arguments: str) -> dict[str, Any]:
    code, out, err = await run_portal(*arguments, **served.settings)
    assert code == 0, out + err
    said: dict[str, Any] = json.loads(out)
    return said
