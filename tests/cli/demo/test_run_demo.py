"""`portal run --demo`: what it tells, that it is true, and that it stays true after every kind of end."""

import asyncio
import json
import signal
import stat

import asyncpg
import httpx2
import pytest

from portal.cli.demo.state_file import load_state
from portal.cli.demo.usage import usage_of
from portal.cli.ready_file import curl_line
from tests.cli.demo_portal import DemoPortal
from tests.faults.tools.check_client import CheckClient

VIEWER = "{ viewer { person { email isStaff } account { id name } role } }"
LASTING = ("logins", "keys", "service_token")


async def ask(portal: DemoPortal, login: str, document: str) -> dict[str, object]:
    headers = {"Authorization": f"Bearer {portal.facts['logins'][login]['token']}"}
    async with httpx2.AsyncClient() as client:
        answer = await client.post(f"{portal.url}/graphql", json={"query": document}, headers=headers)
    assert answer.status_code == 200, answer.text
    data: dict[str, object] = answer.json()["data"]
    return data


async def test_the_ready_file_says_what_the_contract_says(demo_portal: DemoPortal) -> None:
    facts = demo_portal.facts
    assert demo_portal.process is not None
    assert stat.S_IMODE(demo_portal.ready_file.stat().st_mode) == 0o600
    assert facts["pid"] == demo_portal.process.pid
    assert facts["url"].startswith("http://127.0.0.1:")
    assert facts["database_url"].startswith("postgresql://")
    assert all(url.startswith("redis://") for url in facts["redis_urls"])
    assert set(facts["logins"]) == {"staff", "developer", "other_developer"}
    assert set(facts["keys"]) == {"free", "pro", "enterprise"}


async def test_the_credentials_are_private_on_disk(demo_portal: DemoPortal) -> None:
    assert stat.S_IMODE((demo_portal.data / "demo.json").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("login", "account", "is_staff"),
    [("developer", "Northwind Labs", False), ("other_developer", "Contoso", False), ("staff", "Portal staff", True)],
)
async def test_each_token_opens_graphql(demo_portal: DemoPortal, login: str, account: str, is_staff: bool) -> None:
    known = demo_portal.facts["logins"][login]
    viewer = (await ask(demo_portal, login, VIEWER))["viewer"]
    assert isinstance(viewer, dict)
    assert viewer["person"] == {"email": known["email"], "isStaff": is_staff}
    assert viewer["account"]["name"] == account
    assert viewer["account"]["id"] == known.get("account_id", viewer["account"]["id"])


@pytest.mark.parametrize(("plan", "limit"), [("free", 10_000), ("pro", 1_000_000), ("enterprise", 50_000_000)])
async def test_each_key_verifies_on_its_plan(demo_portal: DemoPortal, plan: str, limit: int) -> None:
    async with CheckClient(demo_portal.url, demo_portal.facts["service_token"]) as client:
        answer = await client.check({"key": demo_portal.facts["keys"][plan], "cost": 0})
    assert answer.status == 200
    assert (answer.document["valid"], answer.document["code"]) == (True, "VALID")
    assert answer.document["quota"]["limit"] == limit
    assert 0 <= answer.document["quota"]["used"] < limit


async def test_keys_are_in_every_state(demo_portal: DemoPortal) -> None:
    data = await ask(demo_portal, "developer", "{ keys(first: 50) { nodes { status environment secrets { id } } } }")
    keys = data["keys"]
    assert isinstance(keys, dict)
    assert {key["status"] for key in keys["nodes"]} == {"ACTIVE", "PAUSED", "REVOKED"}
    assert {key["environment"] for key in keys["nodes"]} == {"LIVE", "TEST"}
    assert max(len(key["secrets"]) for key in keys["nodes"]) == 2


async def test_the_curl_line_works_when_pasted(demo_portal: DemoPortal) -> None:
    facts = demo_portal.facts
    line = curl_line(demo_portal.url, facts["service_token"], facts["keys"]["pro"])
    assert line in demo_portal.output
    shell = await asyncio.create_subprocess_shell(f"{line} -s", stdout=asyncio.subprocess.PIPE)
    out, _ = await shell.communicate()
    assert json.loads(out)["code"] == "VALID"


async def test_the_panel_leaves_the_services_out(demo_portal: DemoPortal) -> None:
    facts = demo_portal.facts
    assert facts["logins"]["developer"]["password"] in demo_portal.output
    assert facts["database_url"] not in demo_portal.output
    assert facts["redis_urls"][0] not in demo_portal.output


async def test_the_log_in_of_the_ready_file_reads_everything_and_writes_nothing(sql: asyncpg.Connection) -> None:
    assert await sql.fetchval("SELECT count(DISTINCT account_id) FROM usage_events") == 3
    assert await sql.fetchval("SELECT count(*) FROM people") > 4
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await sql.execute("DELETE FROM usage_events")


async def test_a_restart_keeps_the_credentials_and_the_usage(demo_portal: DemoPortal) -> None:
    before = demo_portal.facts
    assert await asyncio.to_thread(demo_portal.interrupt) == 0
    assert not demo_portal.ready_file.exists()
    assert demo_portal.processes() == []
    await asyncio.to_thread(demo_portal.start)
    assert [demo_portal.facts[name] for name in LASTING] == [before[name] for name in LASTING]


@pytest.mark.faults
async def test_a_first_start_that_is_killed_is_finished_by_the_next(tmp_path_factory: pytest.TempPathFactory) -> None:
    portal = DemoPortal(tmp_path_factory.mktemp("killed"))
    portal.launch()
    try:
        started = await asyncio.to_thread(portal.wait_for_accounts)
        await asyncio.sleep(0.4)
        portal.kill()
        assert load_state(portal.data) == started
        assert not started.is_complete
        await asyncio.to_thread(portal.start)
        finished = load_state(portal.data)
        assert finished is not None
        assert finished.is_complete
        assert finished.service_token == started.service_token
        connection = await asyncpg.connect(portal.facts["database_url"])
        stored = await connection.fetchrow("SELECT count(*), sum(cost) FROM usage_events")
        bucketed = await connection.fetchrow("SELECT sum(calls)::bigint, sum(units)::bigint FROM usage_days")
        await connection.close()
        drawn = [*usage_of(finished)]
        assert tuple(stored) == tuple(bucketed) == (len(drawn), sum(record.cost for record in drawn))
    finally:
        assert portal.process is not None
        portal.process.send_signal(signal.SIGINT)
        await asyncio.to_thread(portal.process.wait, 40)
    assert portal.processes() == []
