"""`portal usage strays`: events that ingest kept and did not count, because of when they happened."""

import asyncio
import json
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

import typer

from portal.cli.which import DataOption, settings_of
from portal.cli.wiring import open_parts
from portal.core.actor import SYSTEM, Actor
from portal.core.ids import AccountId
from portal.core.logs import configure_logs
from portal.usage import StrayCount, drop_strays, list_strays, release_strays

app = typer.Typer(help="Events too late or too far ahead to be counted by themselves.", no_args_is_help=True)

Reason = Literal["late", "future"]
AccountOption = Annotated[str, typer.Option("--account", help="Whose.")]
ReasonOption = Annotated[Reason | None, typer.Option("--reason", help="Only these; else both.")]


@app.callback()
def strays() -> None:
    """Events too late or too far ahead to be counted by themselves."""


@app.command("list")
def list_all(
    data: DataOption = None, as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False
) -> None:
    """How many each account has, and of what time."""
    found = asyncio.run(_list(data))
    if as_json:
        typer.echo(json.dumps([asdict(one) for one in found], default=datetime.isoformat))
        return
    for one in found:
        typer.echo(
            f"{one.account_id}: {one.count:,} {one.reason}, from {one.first.isoformat()} to {one.last.isoformat()}"
        )
    typer.echo(f"{sum(one.count for one in found):,} events are kept and not counted.")


@app.command("release")
def release(account: AccountOption, reason: ReasonOption = None, data: DataOption = None) -> None:
    """Count them after all, in the periods that they say."""
    configure_logs("WARNING")
    typer.echo(f"{asyncio.run(_release(data, account, reason)):,} events were counted.")


@app.command("drop")
def drop(account: AccountOption, reason: ReasonOption = None, data: DataOption = None) -> None:
    """Give them up: they will never be counted."""
    typer.echo(f"{asyncio.run(_drop(data, account, reason)):,} events were given up.")


async def _list(data: Path | None) -> list[StrayCount]:
    async with open_parts(settings_of(data)) as parts, parts.database.transaction() as tx:
        return await list_strays(tx)


async def _release(data: Path | None, account: str, reason: Reason | None) -> int:
    async with open_parts(settings_of(data)) as parts:
        count, totals = await release_strays(parts.database, _for(account), reason)
        for total in totals:
            await parts.limiter.raise_used(total.account_id, total.period, total.used)
    return count


async def _drop(data: Path | None, account: str, reason: Reason | None) -> int:
    async with open_parts(settings_of(data)) as parts:
        return await drop_strays(parts.database, _for(account), reason)


def _for(account: str) -> Actor:
    return Actor(SYSTEM.kind, SYSTEM.id, AccountId(account))
