"""How many SQL statements a request ran: PostgreSQL's own log, read beside the running product.

Workers poll the same server. A transaction that was seen word for word while nobody asked anything is theirs and is not
counted; nor is what asyncpg asks about types when a connection is new.
"""

import re
import time
from collections import Counter, defaultdict
from pathlib import Path

from tests.recordings.product import connect, run_async

IDLE_SECONDS = 7.0
LINE = re.compile(r"^\S+ \S+ \S+ \[(\d+)\] LOG:  (?:statement|execute [^:]*): (.*)$")
ENDS = ("COMMIT", "ROLLBACK")
OF_WORKERS = re.compile(r"INTO billing_accounts|WHERE billing_accounts.next_at|FOR UPDATE SKIP LOCKED", re.IGNORECASE)
"""What workers do more seldom than the idle time would show."""
NEW_CONNECTION = (
    "typeinfo",
    "pg_catalog",
    "pg_type",
    "SET SESSION",
    "recordings",
    "pg_reload_conf",
    "current_setting('jit')",
)
TABLE = re.compile(r"\b(?:FROM|INTO|UPDATE)\s+(?:ONLY\s+)?([a-z_]+)", re.IGNORECASE)
SPACE = re.compile(r"\s+")


class SqlCounts:
    """Counts from the log of the server in `data`."""

    def __init__(self, data: Path) -> None:
        self._log = data / "postgres.log"
        self._data = data
        self._of_workers: set[tuple[str, ...]] = set()
        self._at = 0

    def open(self) -> None:
        """Let the server log every statement, and learn what the workers ask."""
        run_async(self._set("log_statement = 'all'", "log_parameter_max_length = 0"))
        time.sleep(1.0)
        self.begin()
        time.sleep(IDLE_SECONDS)
        self._of_workers = {tuple(statements) for statements in self._transactions()}

    def close(self) -> None:
        run_async(self._set("log_statement = 'none'"))

    def begin(self) -> None:
        self._at = self._log.stat().st_size

    def end(self) -> tuple[int, str]:
        """Since `begin`: how many statements, and of which kind on which table."""
        kinds: Counter[str] = Counter()
        for statements in self._transactions():
            if tuple(statements) in self._of_workers or any(OF_WORKERS.search(text) for text in statements):
                continue
            if len(statements) <= 2 and all(_verb(text) in ("BEGIN", *ENDS) for text in statements):
                continue
            kinds.update(_kind(text) for text in statements)
        return kinds.total(), ", ".join(f"{name} ×{count}" for name, count in sorted(kinds.items()))

    def _transactions(self) -> list[list[str]]:
        """Whole transactions. An answer leaves after its own; what is cut by the borders is a worker's."""
        with self._log.open("rb") as file:
            file.seek(self._at)
            text = file.read().decode(errors="replace")
        running: defaultdict[str, list[str]] = defaultdict(list)
        done: list[list[str]] = []
        for entry in re.split(r"\n(?=\d{4}-\d\d-\d\d )", text):
            found = LINE.match(SPACE.sub(" ", entry).replace("LOG: ", "LOG:  ", 1))
            if found is None or any(word in found[2] for word in NEW_CONNECTION):
                continue
            statement = found[2].strip().rstrip(";")
            running[found[1]].append(statement)
            if _verb(statement) in ENDS:
                done.append(running.pop(found[1]))
        return [statements for statements in done if _verb(statements[0]) == "BEGIN"]

    async def _set(self, *settings: str) -> None:
        connection = await connect(self._data)
        try:
            for setting in settings:
                await connection.execute(f"ALTER SYSTEM SET {setting}")
            await connection.execute("SELECT pg_reload_conf()")
        finally:
            await connection.close()


def _verb(statement: str) -> str:
    return statement.partition(" ")[0].upper()


def _kind(statement: str) -> str:
    table = TABLE.search(statement)
    return f"{_verb(statement)} {table[1].lower()}" if table else _verb(statement)
