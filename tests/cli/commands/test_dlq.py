"""`portal dlq`: the quarantine and the dead letters, listed, shown, counted after all, dropped."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis
from sqlalchemy import text
from typer.testing import CliRunner

from portal.cli.main import app
from portal.core.database import Database
from portal.core.embedded import EmbeddedServices
from portal.core.messaging.bus import USAGE_RECORDED
from portal.core.rabbit import RabbitBus, connect
from portal.limits import Limiter
from portal.usage import IngestBatcher, encode_batch, ingest_usage
from tests.broker.find import private_broker
from tests.cli.demo_portal import run_portal
from tests.usage.sample import new_account, record
from tests.usage.truth import raw_totals


@pytest.fixture(scope="module")
async def broker_url(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """Of a broker of its own: the dead queue of usage is everybody's in a shared one."""
    async with private_broker(tmp_path_factory.mktemp("broker")) as broker:
        yield broker.url


@pytest.fixture
def settings(services: EmbeddedServices, database: Database, tmp_path: Path) -> dict[str, str]:
    return {
        "PORTAL_DATABASE_URL": services.database_url,
        "PORTAL_REDIS_URLS": ",".join(services.redis_urls),
        "PORTAL_DATA": str(tmp_path),
    }


@pytest.fixture
async def account(database: Database) -> str:
    """With one contradictory record in an otherwise empty quarantine."""
    async with database.transaction() as tx:
        await tx.execute(text("DELETE FROM usage_quarantine"))
    account = new_account()
    for cost in (1, 9):
        await ingest_usage(database, encode_batch([record(1, account_id=account, cost=cost)]))
    return account


async def listed(settings: dict[str, str]) -> list[dict[str, object]]:
    code, out, err = await run_portal("dlq", "list", "--json", **settings)
    assert (code, err) == (0, "")
    found: list[dict[str, object]] = json.loads(out)
    return found


async def test_a_quarantined_record_is_listed_and_shown_with_its_reason(settings: dict[str, str], account: str) -> None:
    [entry] = await listed(settings)
    assert {name: entry[name] for name in ("place", "reason", "accountId", "records")} == {
        "place": "quarantine",
        "reason": "CONFLICT",
        "accountId": account,
        "records": 1,
    }
    code, out, err = await run_portal("dlq", "show", str(entry["id"]), "--json", **settings)
    assert (code, err) == (0, "")
    [content] = json.loads(out)["content"]
    assert (content["account_id"], content["cost"]) == (account, 9)
    code, out, err = await run_portal("dlq", "list", **settings)
    assert (code, err) == (0, "")
    assert [line.split()[2] for line in out.splitlines()[:-1]] == ["CONFLICT"]


async def test_what_is_still_no_usage_stays_and_what_became_usage_is_counted(
    settings: dict[str, str], account: str, database: Database
) -> None:
    code, out, _ = await run_portal("dlq", "replay", "--all", **settings)
    assert (code, out) == (1, "0 counted, 0 sent back, 1 still refused.\n")
    async with database.transaction() as tx:
        await tx.execute(text("DELETE FROM usage_events WHERE account_id = :account"), {"account": account})
    code, out, _ = await run_portal("dlq", "replay", "--all", "--json", **settings)
    assert (code, json.loads(out)) == (0, {"counted": 1, "kept": 0, "sent": 0})
    assert await raw_totals(database, account) == (1, 9)
    assert await listed(settings) == []


async def test_without_redis_it_is_counted_and_quotas_follow(
    settings: dict[str, str], account: str, services: EmbeddedServices, database: Database, redis: Redis
) -> None:
    await redis.hset(f"account:{account}", mapping={"used:2026-11": 1, "settled:2026-11": 0})
    async with database.transaction() as tx:
        await tx.execute(text("DELETE FROM usage_events WHERE account_id = :account"), {"account": account})
    away = settings | {"PORTAL_REDIS_URLS": "redis://127.0.0.1:9/0"}
    code, out, err = await run_portal("dlq", "replay", "--all", "--json", **away)
    assert (code, json.loads(out)) == (0, {"counted": 1, "kept": 0, "sent": 0})
    assert err.splitlines()[-1] == (
        "Quota counters could not be raised: not connected to 127.0.0.1:9/0. "
        "They follow with each account's next usage."
    )
    assert await raw_totals(database, account) == (1, 9)
    limiter = Limiter(services.redis_urls, 1000)
    await limiter.open()
    await IngestBatcher(database, limiter.raise_used).add(encode_batch([record(2, account_id=account)]))
    await limiter.close()
    assert await redis.hget(f"account:{account}", "used:2026-11") == b"11"


async def test_what_is_dropped_is_gone(settings: dict[str, str], account: str, database: Database) -> None:
    [entry] = await listed(settings)
    code, out, _ = await run_portal("dlq", "drop", str(entry["id"]), **settings)
    assert (code, out) == (0, "1 dropped.\n")
    assert await listed(settings) == []
    assert await raw_totals(database, account) == (1, 1)


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("drop",), 2, "name ids, or use --all"),
        (("drop", "7", "--all"), 2, "name ids, or use --all"),
        (("replay", "nonsense"), 2, "'nonsense' is not an id"),
        (("drop", "999999999"), 1, "1 of those do not exist"),
        (("show", "999999999"), 1, "There is no '999999999'"),
        (("replay", "msg_1"), 1, "Set PORTAL_AMQP_URL"),
    ],
)
def test_mistakes_say_what_to_do(settings: dict[str, str], arguments: tuple[str, ...], code: int, told: str) -> None:
    result = CliRunner(env=settings).invoke(app, ["dlq", *arguments])
    assert result.exit_code == code
    assert told in (result.output if code == 2 else str(result.exception))


async def test_dead_letters_are_listed_sent_back_and_dropped(
    settings: dict[str, str], account: str, broker_url: str
) -> None:
    settings |= {"PORTAL_AMQP_URL": broker_url}
    bus = RabbitBus(broker_url, USAGE_RECORDED, prefetch=1, retention_days=90)
    await bus.publish(USAGE_RECORDED, encode_batch([record(2, account_id=account)]))
    await _bury(bus, broker_url)
    entries = [entry for entry in await listed(settings) if entry["place"] == "queue"]
    assert [(entry["reason"], entry["records"]) for entry in entries] == [("DEAD", 1)]
    letter = str(entries[0]["id"])
    code, out, _ = await run_portal("dlq", "show", letter, "--json", **settings)
    assert (code, json.loads(out)["content"][0]["account_id"]) == (0, account)
    _, out, _ = await run_portal("doctor", **settings)
    assert "! RabbitMQ     1 dead letters. Look at `portal dlq list`." in out
    code, out, _ = await run_portal("dlq", "replay", letter, **settings)
    assert (code, out) == (0, "0 counted, 1 sent back, 0 still refused.\n")
    status = await bus.status(USAGE_RECORDED)
    assert (status.waiting, status.dead) == (1, 0)
    await _bury(bus, broker_url)
    code, out, _ = await run_portal("dlq", "drop", letter, **settings)
    assert (code, out) == (0, "1 dropped.\n")
    assert (await bus.status(USAGE_RECORDED)).dead == 0
    await bus.close()


async def test_doctor_examines_the_broker_and_its_dead_letters(settings: dict[str, str], broker_url: str) -> None:
    settings |= {"PORTAL_AMQP_URL": broker_url}
    bus = RabbitBus(broker_url, USAGE_RECORDED, prefetch=1, retention_days=90)
    await bus.status(USAGE_RECORDED)
    await bus.close()
    _, out, _ = await run_portal("doctor", "--json", **settings)
    [finding] = [one for one in json.loads(out) if one["what"] == "RabbitMQ"]
    assert finding["state"] == "good"
    assert "queues declared, no dead letters" in finding["message"]
    _, out, _ = await run_portal("doctor", "--json", **settings | {"PORTAL_DEAD_LETTER_DAYS": "3"})
    [finding] = [one for one in json.loads(out) if one["what"] == "RabbitMQ"]
    assert (finding["state"], "another retention" in finding["message"]) == ("doubtful", True)
    code, out, _ = await run_portal("doctor", "--json", **settings | {"PORTAL_AMQP_URL": "amqp://127.0.0.1:1/"})
    [finding] = [one for one in json.loads(out) if one["what"] == "RabbitMQ"]
    assert (code, finding["state"], finding["hint"]) == (1, "bad", "Check PORTAL_AMQP_URL.")


async def _bury(bus: RabbitBus, url: str) -> None:
    """Make the one message that waits a dead letter; the broker takes a moment to move it."""
    connection = await connect(url, "tests")
    async with connection, connection.channel() as channel:
        message = await (await channel.get_queue(USAGE_RECORDED)).get(timeout=10)
        assert message is not None
        await message.reject(requeue=False)
        async with asyncio.timeout(20):
            while not (await bus.status(USAGE_RECORDED)).dead:  # noqa: ASYNC110 the broker tells nobody
                await asyncio.sleep(0.05)
