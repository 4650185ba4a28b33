"""`portal audit`: the audit log's chains."""

import asyncio
import json
from pathlib import Path
from typing import Annotated

import typer

from portal.audit import Break, list_chains, verify_chain
from portal.cli.target import DataOption, settings_of
from portal.runtime.container import open_container

app = typer.Typer(help="The audit log.", no_args_is_help=True)


@app.callback()
def audit() -> None:
    """The audit log."""


@app.command("verify")
def verify(
    data: DataOption = None, as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False
) -> None:
    """Verify every account's chain; exit 1 and the first broken row of each otherwise."""
    count, breaks = asyncio.run(_verify(data))
    if as_json:
        typer.echo(json.dumps({"chains": count, "breaks": [_document(one) for one in breaks]}))
    else:
        for one in breaks:
            typer.echo(f"{one.account_id or 'provider'}: row {one.sequence} {one.reason}.", err=True)
        typer.echo(f"{count} chains, {len(breaks)} broken.")
    if breaks:
        raise typer.Exit(1)


def _document(one: Break) -> dict[str, str | int]:
    return {"account": one.account_id, "row": one.sequence, "reason": one.reason}


async def _verify(data: Path | None) -> tuple[int, list[Break]]:
    async with open_container(settings_of(data)) as container, container.database.snapshot() as tx:
        accounts = await list_chains(tx)
        found = [await verify_chain(tx, account_id) for account_id in accounts]
    return len(accounts), [one for one in found if one is not None]
