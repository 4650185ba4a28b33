"""`portal usage export`: raw events or buckets of an account into a file, with progress."""

import asyncio
import sys
from collections.abc import Iterator
from contextlib import aclosing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from portal.accounts import get_account
from portal.cli.commands.usage.audit import LONG_SECONDS
from portal.cli.progress import progress
from portal.cli.target import DataOption, settings_of
from portal.core.actor import SYSTEM, Actor
from portal.core.database import Database
from portal.core.errors import Invalid
from portal.core.ids import AccountId
from portal.usage import ExportFormat, ExportQuery, ExportRows, UsageFilter, export_usage, start_export

UNFINISHED = ".part"


def export(
    account: Annotated[str, typer.Option("--account", help="The account's id, acct_….")],
    start: Annotated[str, typer.Option("--from", help="First day or instant (UTC), like 2026-11-01.")],
    end: Annotated[str, typer.Option("--to", help="Day or instant after the last one; now by default.")] = "",
    output: Annotated[Path | None, typer.Option("--output", "-o", help="File to write; else standard output.")] = None,
    file_format: Annotated[ExportFormat, typer.Option("--format", help="Format of the file.")] = ExportFormat.CSV,
    rows: Annotated[ExportRows, typer.Option("--rows", help="What each row is.")] = ExportRows.EVENTS,
    key: Annotated[str | None, typer.Option("--key", help="Only the usage of the key with this id.")] = None,
    data: DataOption = None,
) -> None:
    """Write an account's usage as CSV, JSON Lines or Parquet. It is streamed, so any amount fits."""
    last = _instant(end, "--to") if end else datetime.now(UTC) + timedelta(minutes=1)
    query = ExportQuery(_instant(start, "--from"), last, rows, UsageFilter(key_id=key))
    if output is None and sys.stdout.isatty() and file_format is ExportFormat.PARQUET:
        raise typer.BadParameter("Parquet cannot be shown on a terminal: name a file with --output")
    count = asyncio.run(_export(data, account, query, file_format, output))
    typer.echo(f"{count:,} rows{f' in {output}' if output else ''}.", err=True)


async def _export(
    data: Path | None, account: str, query: ExportQuery, file_format: ExportFormat, output: Path | None
) -> int:
    """Write the rows and return how many there were. Raises NotFound, Invalid."""
    url = settings_of(data).database_url.get_secret_value()
    # A filter that matches little lets PostgreSQL read long for the next rows.
    database = Database(url, pool_size=1, command_seconds=LONG_SECONDS)
    try:
        async with database.transaction() as tx:
            account_id = AccountId((await get_account(tx, account)).id)
        async with database.transaction(account_id) as tx:
            total = await start_export(tx, Actor("system", SYSTEM.id, account_id), query, file_format)
        async with database.transaction(account_id) as tx:
            count = 0
            with _opened(output) as file, progress("Exported rows", total) as advance:
                async with aclosing(export_usage(tx, account_id, query, file_format)) as pieces:
                    async for piece in pieces:
                        await asyncio.to_thread(file.write, piece.data)
                        advance(piece.rows - count)
                        count = piece.rows
        return count
    finally:
        await database.close()


@contextmanager
def _opened(output: Path | None) -> Iterator[BinaryIO]:
    """Open the output. A file gets its name only once it is whole."""
    if output is None:
        yield sys.stdout.buffer
        return
    unfinished = output.with_name(output.name + UNFINISHED)
    try:
        with unfinished.open("wb") as file:
            yield file
        unfinished.rename(output)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


def _instant(text: str, name: str) -> datetime:
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise Invalid(f"{name} must be a day or an instant.", hint="Write it like 2026-11-01.") from None
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)
