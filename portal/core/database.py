"""PostgreSQL: one engine a process, one transaction a request or message, opened and committed at the edge.

A transaction for an account runs as the role `portal_app`, whom row-level security confines to that account; one
without runs as `portal_system`. Both are set for the transaction only, so a pooled connection carries nothing over.
"""

import asyncio
import builtins
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar, TypeVarTuple, overload
from urllib.parse import urlsplit

from sqlalchemy import Executable, Result, TextClause, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.pool import NullPool
from sqlalchemy.sql.selectable import TypedReturnsRows

from portal.core.actor import Actor, Permission
from portal.core.errors import Invalid, Unavailable
from portal.core.messaging.outbox import Event, insert_events
from portal.core.outages.database_errors import is_connection_lost, is_server_unavailable, sqlstate_of
from portal.core.outages.outage_log import OutageLog

HUNG_SECONDS = 3.0
COMMAND_SECONDS = 15
"""A server that hangs is given up after this; ingest's largest batches take a fraction of it."""
QUIET_SECONDS = 2.0
WRITES_REFUSED = ("25006", "53100")
WRITES_QUIET_SECONDS = 60.0
"""A server that is read-only or full fails some transactions and not others: all of that is one outage."""
NOT_A_CHARACTER = "22021"

Row = TypeVar("Row")
Value = TypeVar("Value")
Columns = TypeVarTuple("Columns")
AfterCommit = Callable[[Sequence[Event]], Awaitable[None]]

_BEGIN = text(
    "SELECT set_config('role', :role, true), set_config('portal.account_id', :account, true), "
    "set_config('portal.person_id', :person, true), set_config('portal.is_staff', :staff, true), "
    "clock_timestamp() AS now"
)

_ACCOUNT = text("SELECT current_setting('portal.account_id')")
_ACT_FOR = text("SELECT set_config('portal.account_id', :account, true)")
_SET_STATEMENT_TIMEOUT = text("SELECT set_config('statement_timeout', :most_ms, true)")
_SET_LOCK_TIMEOUT = text("SELECT set_config('lock_timeout', :most_ms, true)")
_LIMIT_LOCKS = text("SELECT set_config('lock_timeout', :timeout, false)")
_BEGIN_AS_OWNER = text("SELECT set_config('lock_timeout', :timeout, true), clock_timestamp()")


class Tx:
    """A transaction in hand. `now` is the database's clock at its start.

    Statements queue behind one another, since sibling resolvers run concurrently and a session serves one at a time.
    One that was sent runs to its end also when its caller is cancelled: cutting it off would cost the connection.
    """

    def __init__(self, session: AsyncSession, now: datetime) -> None:
        self.now = now
        self.events: list[Event] = []
        self.statements = 0
        self._session = session
        self._lock = asyncio.Lock()
        self._is_settled = False

    @overload
    async def execute(self, statement: TypedReturnsRows[*Columns], parameters: Any = None) -> Result[*Columns]: ...

    @overload
    async def execute(self, statement: Executable, parameters: Any = None) -> Result[*tuple[Any, ...]]: ...

    async def execute(self, statement: Executable, parameters: Any = None) -> Result[*tuple[Any, ...]]:
        """Send a statement and return its rows, typed by the statement where it names its columns."""
        return await self._send(lambda: self._session.execute(statement, parameters))

    @overload
    async def find(self, statement: TypedReturnsRows[Value], parameters: Any = None) -> Value | None: ...

    @overload
    async def find(self, statement: TextClause, parameters: Any = None) -> object: ...

    @overload
    async def find(self, statement: TextClause, parameters: Any = None, *, returns: type[Value]) -> Value | None: ...

    async def find(self, statement: Executable, parameters: Any = None, *, returns: type[object] = object) -> object:
        """Return the only column of the only row, or None where there is no row.

        Plain SQL does not tell its types: `returns` names that of the column, and another value raises TypeError.
        """
        value = (await self.execute(statement, parameters)).scalar_one_or_none()
        return None if value is None else _checked(value, returns)

    @overload
    async def get(self, statement: TypedReturnsRows[Value], parameters: Any = None) -> Value: ...

    @overload
    async def get(self, statement: TextClause, parameters: Any = None, *, returns: type[Value]) -> Value: ...

    async def get(self, statement: Executable, parameters: Any = None, *, returns: type[object] = object) -> object:
        """Return the only column of the only row, as `find` does; raises NoResultFound where there is no row."""
        return _checked((await self.execute(statement, parameters)).scalar_one(), returns)

    @overload
    async def list(self, statement: TypedReturnsRows[Value], parameters: Any = None) -> builtins.list[Value]: ...

    @overload
    async def list(self, statement: TextClause, parameters: Any = None) -> builtins.list[object]: ...

    @overload
    async def list(
        self, statement: TextClause, parameters: Any = None, *, returns: type[Value]
    ) -> builtins.list[Value]: ...

    async def list(self, statement: Executable, parameters: Any = None, *, returns: type[object] = object) -> object:
        """Return the only column of every row, typed as by `find`. The statement bounds how many there are."""
        return [_checked(value, returns) for value in (await self.execute(statement, parameters)).scalars()]

    async def insert(self, row: Row) -> Row:
        """Add one table row and send it now, so that rows arrive in the order in which they were added."""
        self._session.add(row)
        await self._send(self._session.flush)
        return row

    async def insert_all(self, rows: Sequence[object]) -> None:
        """Add table rows and send them now, those of a table in one statement."""
        self._session.add_all(rows)
        await self._send(self._session.flush)

    async def flush(self) -> None:
        """Send the changes made to loaded rows."""
        await self._send(self._session.flush)

    async def stream(self, statement: Executable, parameters: Any, *, rows: int) -> AsyncGenerator[Sequence[Any]]:
        """Read rows of a server-side cursor, `rows` at a time, and free it when the iterator or transaction is closed.

        Nothing else may be sent in this transaction meanwhile.
        """
        result = await self._session.stream(statement, parameters, execution_options={"yield_per": rows})
        try:
            async for part in result.partitions(rows):
                yield part
        finally:
            await result.close()

    async def copy(self, table: str, columns: Sequence[str], records: Sequence[tuple[Any, ...]]) -> None:
        """Copy rows into a table (COPY) within this transaction. Raises asyncpg's own errors."""

        async def copy() -> None:
            raw = await (await self._session.connection()).get_raw_connection()
            await raw.driver_connection.copy_records_to_table(table, columns=columns, records=records)  # type: ignore[union-attr]  # None only after a close

        await self._send(copy)

    async def set_statement_timeout(self, seconds: float) -> None:
        """Let PostgreSQL stop any later statement of this transaction that takes longer."""
        await self.execute(_SET_STATEMENT_TIMEOUT, {"most_ms": str(round(seconds * 1000))})

    async def set_lock_timeout(self, seconds: float) -> None:
        """Let PostgreSQL stop any later statement of this transaction that waits longer for one lock."""
        await self.execute(_SET_LOCK_TIMEOUT, {"most_ms": str(round(seconds * 1000))})

    async def finish_statements(self) -> None:
        """Return when no statement is on its way, and refuse any later one.

        Work that others share outlives a cancelled caller. What it sent afterwards would take a connection anew, as the
        role that logs in, and keep it.
        """
        async with self._lock:
            self._is_settled = True

    async def _send(self, send: Callable[[], Coroutine[Any, Any, Value]]) -> Value:
        """Send one statement.

        It is cancelled at once while it waits for its turn, afterwards only at its end or if the server hangs. Raises
        Invalid for U+0000, which JSON and forms can carry in any text and PostgreSQL stores in none, and RuntimeError
        once the transaction is settled.
        """
        async with self._lock:
            if self._is_settled:
                raise RuntimeError("The transaction is over.")
            self.statements += 1
            running = asyncio.create_task(send())
            try:
                return await asyncio.shield(running)
            except DBAPIError as error:
                if sqlstate_of(error) == NOT_A_CHARACTER:
                    raise Invalid("Text must not contain U+0000.", hint="Leave that character out.") from error
                raise
            except asyncio.CancelledError:
                await asyncio.wait({running}, timeout=HUNG_SECONDS)
                if running.done() and not running.cancelled():
                    running.exception()
                running.cancel()
                raise

    def emit(self, event: Event) -> None:
        """Emit an event: stored with the transaction, passed to `after_commit` and relayed by the outbox."""
        self.events.append(event)

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        """Undo what happens inside alone when it raises, its events too."""
        count_before = len(self.events)
        nested = self._session.begin_nested()
        await self._send(nested.start)
        try:
            yield
            await self._send(nested.commit)
        except BaseException:
            del self.events[count_before:]
            await self._send(nested.rollback)
            raise

    @asynccontextmanager
    async def acting_for(self, account_id: str) -> AsyncIterator[None]:
        """Confine row-level security to another account inside: for staff or its members, as the caller made sure.

        Afterwards it is the account before again. What raises inside must be undone, with its savepoint or as a whole:
        that leads back, too.
        """
        before = await self.find(_ACCOUNT)
        await self.execute(_ACT_FOR, {"account": account_id})
        yield
        await self.execute(_ACT_FOR, {"account": before})


@dataclass(frozen=True, slots=True)
class PoolUsage:
    """Connections of a process: in use, open and idle, and how many it may open at most."""

    in_use: int
    idle: int
    most: int


class Database:
    """The engine, and who is called after a commit. `url` starts with postgresql+asyncpg://."""

    def __init__(
        self,
        url: str,
        *,
        pool_size: int = 10,
        after_commit: AfterCommit | None = None,
        command_seconds: float = COMMAND_SECONDS,
    ) -> None:
        self.url = url
        self.after_commit = after_commit
        self._outage = OutageLog("database", _server_of(url))
        self._max_connections = 2 * pool_size
        self.engine: AsyncEngine = create_async_engine(
            url,
            pool_size=pool_size,
            max_overflow=pool_size,
            pool_timeout=5,
            pool_pre_ping=False,
            hide_parameters=True,  # errors are logged, and values are people's, or digests
            connect_args={
                "timeout": 5,
                "command_timeout": command_seconds,
                "server_settings": {"application_name": "portal", "TimeZone": "UTC"},
            },
        )

    @property
    def dsn(self) -> str:
        """Return the address as asyncpg itself wants it."""
        return self.url.replace("postgresql+asyncpg://", "postgresql://", 1)

    @asynccontextmanager
    async def transaction(self, account_id: str | None = None, *, actor: Actor | None = None) -> AsyncIterator[Tx]:
        """Commit at the end, roll back on an error; then call `after_commit`, before the caller answers.

        For an `actor` it is confined to their account, and shows them what is theirs as a person, or staff's.
        """
        async with self._watched(), AsyncSession(self.engine, expire_on_commit=False, autoflush=True) as session:
            tx = await _begin(session, actor.account_id if actor else account_id, actor)
            yield tx
            if tx.events:
                await insert_events(session, tx.events)
            await session.commit()
        if tx.events and self.after_commit is not None:
            await self.after_commit(tx.events)

    @asynccontextmanager
    async def _watched(self) -> AsyncIterator[None]:
        """Log the beginning and the end of an outage, once each, whoever met it."""
        try:
            yield
        except Exception as error:
            if is_server_unavailable(error) and not isinstance(error, Unavailable):
                is_reading = sqlstate_of(error) in WRITES_REFUSED
                self._outage.failed(error, WRITES_QUIET_SECONDS if is_reading else QUIET_SECONDS)
            raise
        self._outage.recovered()

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Tx]:
        """Read as portal_system, every statement from the same instant (REPEATABLE READ)."""
        async with self._watched(), AsyncSession(self.engine, expire_on_commit=False) as session:
            await session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
            yield await _begin(session, None)

    @asynccontextmanager
    async def owner_transaction(self, *, lock_timeout_ms: int = 2000) -> AsyncIterator[Tx]:
        """Run DDL as the role that owns the tables; give up rather than queue others behind its locks."""
        async with AsyncSession(self.engine) as session:
            now = (await session.execute(_BEGIN_AS_OWNER, {"timeout": f"{lock_timeout_ms}ms"})).one()[1]
            yield Tx(session, now)
            await session.commit()

    @asynccontextmanager
    async def owner_connection(self, *, lock_timeout_ms: int = 2000) -> AsyncIterator[AsyncConnection]:
        """Run DDL that no transaction may contain as the owner, each statement committed by itself.

        The connection is never from the pool: what the session locks or sets ends with it.
        """
        engine = create_async_engine(self.url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
        try:
            async with engine.connect() as connection:
                await connection.execute(_LIMIT_LOCKS, {"timeout": f"{lock_timeout_ms}ms"})
                yield connection
        finally:
            await engine.dispose()

    def pool_usage(self) -> PoolUsage:
        """Return how many connections are open, as of now."""
        pool: Any = self.engine.pool
        return PoolUsage(pool.checkedout(), pool.checkedin(), self._max_connections)

    async def close(self) -> None:
        await self.engine.dispose()


def _server_of(url: str) -> str:
    """Return the host and port, never the user or password."""
    parts = urlsplit(url)
    return f"{parts.hostname or 'local'}:{parts.port or 5432}"


def _checked(value: object, returns: type[Value]) -> Value:
    if not isinstance(value, returns):
        raise TypeError(f"The statement returns {type(value).__name__}, not {returns.__name__}.")
    return value


async def _begin(session: AsyncSession, account_id: str | None, actor: Actor | None = None) -> Tx:
    context = {
        "role": "portal_app" if account_id else "portal_system",
        "account": account_id or "",
        "person": actor.id if actor and actor.kind == "person" else "",
        "staff": "on" if actor and actor.may(Permission.STAFF) else "",
    }
    try:
        row = (await session.execute(_BEGIN, context)).one()
    except DBAPIError as error:
        if not is_connection_lost(error):
            raise
        await session.invalidate()
        row = (await session.execute(_BEGIN, context)).one()
    return Tx(session, row.now)
