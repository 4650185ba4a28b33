"""Demo data of `portal run --demo`: made once, through the real verbs and the real ingest, then kept.

A start that is killed half-way is gone on with by the next one. The credentials are on disk before the accounts are
committed: file without rows means that the commit never came, and all is made anew; rows without usage means that
ingest was cut off, and since usage is drawn from what the file keeps, the same ids come again and count once.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from msgspec.structs import replace
from sqlalchemy import make_url, text

from portal.accounts import authenticate_service
from portal.cli.demo.accounts import make_accounts
from portal.cli.demo.state_file import FILE, DemoState, load_state, save_state
from portal.cli.demo.usage import usage_of
from portal.cli.progress import progress
from portal.core.clock import from_microseconds
from portal.core.database import Database
from portal.core.errors import Conflict, StartupError
from portal.runtime import Container
from portal.usage import IngestBatcher, UsageRecord, encode_batch, ensure_partitions

BATCH = 10_000
READER = "portal_demo_reader"

_CREATE_READER = text(f"""
DO $$ BEGIN CREATE ROLE {READER} LOGIN; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$
""")
_GRANT_READER = text(f"GRANT portal_reader TO {READER}")
_QUOTE_PASSWORD = text(f"SELECT format('ALTER ROLE {READER} PASSWORD %L', CAST(:password AS text))")


@dataclass(frozen=True, slots=True)
class DemoCredentials:
    """What the ready file says. `logins`: staff, developer, other_developer; `keys`: free, pro, enterprise.

    `database_url` (postgresql://) is a log-in that reads everything and writes nothing.
    """

    logins: dict[str, dict[str, str]] = field(repr=False)
    keys: dict[str, str] = field(repr=False)
    service_token: str = field(repr=False)
    database_url: str = field(repr=False)


async def ensure_demo(container: Container, data: Path) -> DemoCredentials:
    """Return the demo's credentials, made at its first start and the same afterwards. Raises StartupError."""
    state = load_state(data)
    if state is None or not await _is_in_database(container.database, state):
        state = await _make(container, data)
    if not state.is_complete:
        await _count_usage(container, state)
        state = replace(state, is_complete=True)
        save_state(data, state)
    await _ensure_reader(container.database, state.reader_password)
    return DemoCredentials(
        logins=state.logins,
        keys=state.keys,
        service_token=state.service_token,
        database_url=_reader_url(container.database, state.reader_password),
    )


async def _is_in_database(database: Database, state: DemoState) -> bool:
    """Return whether the demo is in the database: one transaction made everything, so one row stands for all."""
    async with database.transaction() as tx:
        return await authenticate_service(tx, state.service_token) is not None


async def _make(container: Container, data: Path) -> DemoState:
    try:
        async with container.database.transaction() as tx:
            state = await make_accounts(tx, container.settings.key_prefix)
            save_state(data, state)
    except Conflict as error:
        raise StartupError(
            f"The demo accounts are in the database, but {data / FILE} does not fit them ({error.message})",
            hint="Restore that file, or use another --data folder.",
        ) from None
    return state


async def _count_usage(container: Container, state: DemoState) -> None:
    await ensure_partitions(container.database, from_microseconds(state.made_us))
    records = sorted(usage_of(state), key=_in_order)
    handle = IngestBatcher(container.database, container.limiter.raise_used).add
    with progress("Making 90 days of demo usage", len(records)) as advance:
        for batch in _batches(records):
            await handle(encode_batch(batch))
            advance(len(batch))


def _in_order(record: UsageRecord) -> tuple[str, str]:
    """By account, then by time: an id begins with its time."""
    return record.account_id, record.request_id


def _batches(records: list[UsageRecord]) -> Iterator[list[UsageRecord]]:
    remaining = iter(records)
    while batch := [*islice(remaining, BATCH)]:
        yield batch


async def _ensure_reader(database: Database, password: str) -> None:
    async with database.owner_transaction() as tx:
        await tx.execute(_CREATE_READER)
        await tx.execute(_GRANT_READER)
        statement = await tx.get(_QUOTE_PASSWORD, {"password": password}, returns=str)
        await tx.execute(text(statement.replace(":", r"\:")))


def _reader_url(database: Database, password: str) -> str:
    url = make_url(database.url).set(drivername="postgresql", username=READER, password=password)
    return url.render_as_string(hide_password=False)
