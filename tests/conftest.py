"""Real servers for every test: embedded PostgreSQL and Valkey, migrated once a session."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from argon2 import PasswordHasher
from redis.asyncio import Redis

from migrations.run import migrate
from portal import accounts, plans
from portal.accounts.identity import passwords
from portal.core.actor import SYSTEM, Actor, Role
from portal.core.database import Database
from portal.core.embedded import EmbeddedServices, start_services
from portal.core.ids import AccountId, new_id
from portal.core.settings import Settings, load_settings
from portal.usage import ensure_partitions
from tests.broker.find import running_broker
from tests.matrix import summary
from tests.selection import ByPlace, count_left_out, is_slow, left_out, mark_item

hypothesis.settings.register_profile("calm", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("calm")  # what is tested is not how busy the machine is


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        mark_item(item)
    items.sort(key=is_slow, reverse=True)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByPlace:
    return ByPlace(config, log)


def pytest_deselected(items: list[pytest.Item]) -> None:
    count_left_out(items)


_of_workers: list[str] = []
_left_out_there: set[str] = set()


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker of pytest-xdist has no terminal: it hands over what it would have written."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["summary"], output["left_out"] = summary(), left_out()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    output = getattr(node, "workeroutput", {})
    _of_workers.append(output.get("summary", ""))
    _left_out_there.add(output.get("left_out", ""))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for text in (*_of_workers, summary(), left_out(), *_left_out_there):
        if text:
            terminalreporter.write_line(text)


MakeAccount = Callable[..., Awaitable[Actor]]


@pytest.fixture(scope="session", autouse=True)
def cheap_passwords() -> Iterator[None]:
    """The same Argon2id at a fraction of the work: thousands of people sign up in these tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passwords, "_hasher", PasswordHasher(time_cost=1, memory_cost=64, parallelism=1))
        yield


@pytest.fixture(scope="session")
async def services(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EmbeddedServices]:
    running = await start_services(tmp_path_factory.mktemp("data"), durable=False)
    yield running
    await running.stop()


@pytest.fixture(scope="session")
def settings(services: EmbeddedServices, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return settings_for(services, tmp_path_factory.mktemp("portal"))


def settings_for(services: EmbeddedServices, data: Path, **others: Any) -> Settings:
    """With a deadline that a busy machine keeps: what happens beyond it is tested on purpose, not by accident."""
    return load_settings(
        database_url=services.database_url,
        redis_urls=list(services.redis_urls),
        data=data,
        check_deadline_ms=1000,
        **others,
    )


@pytest.fixture(scope="session")
async def database(services: EmbeddedServices) -> AsyncIterator[Database]:
    await migrate(services.database_url)
    database = Database(services.database_url)
    async with database.transaction() as tx:
        await plans.ensure_catalogue(tx)
        now = tx.now
    await ensure_partitions(database, now)
    yield database
    await database.close()


@pytest.fixture(scope="session")
async def amqp_url(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """Of a real RabbitMQ, started only where a test asks for it. No test may kill it."""
    async with running_broker(tmp_path_factory.mktemp("broker")) as url:
        yield url


@pytest.fixture
async def redis(services: EmbeddedServices) -> AsyncIterator[Redis]:
    client = Redis.from_url(services.redis_urls[0])
    yield client
    await client.aclose()


@pytest.fixture(scope="session")
def make_account(database: Database) -> MakeAccount:
    """`await make_account(role=Role.VIEWER, plan="pro")`: a new person in a new account, as an actor."""

    async def make(*, role: Role = Role.OWNER, plan: str | None = None) -> Actor:
        email = f"{new_id('t').lower()}@example.com"
        async with database.transaction() as tx:
            new = accounts.NewAccount(email, "correct horse battery", "Ann", "Acme")
            person, account = await accounts.sign_up(tx, new)
            if plan is not None:
                chosen = next(row for row in await plans.list_plans(tx) if row.slug == plan)
                system = Actor("system", SYSTEM.id, AccountId(account.id))
                await plans.subscribe(tx, system, chosen.id)
        return Actor("person", person.id, AccountId(account.id), role=role)

    return make


@pytest.fixture
async def owner(make_account: MakeAccount) -> Actor:
    return await make_account()


@pytest.fixture
async def viewer(make_account: MakeAccount) -> Actor:
    """Reads everything, changes nothing."""
    return await make_account(role=Role.VIEWER)


@pytest.fixture
async def stranger(make_account: MakeAccount) -> Actor:
    """The owner of another account."""
    return await make_account()
