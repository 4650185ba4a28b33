"""`portal audit`: the chains of the audit log."""

import asyncio
import json
from pathlib import Path
from typing import Annotated

import typer

from portal.audit import Break, ChainVerifier, count_rows
from portal.cli.progress import progress
from portal.cli.target import DataOption, settings_of
from portal.runtime import open_container

PORTION = 5_000
"""Rows of a snapshot."""
app = typer.Typer(help="Verify the audit log.", no_args_is_help=True)


@app.callback()
def audit() -> None:
    """Verify the audit log."""


@app.command("verify")
def verify(
    data: DataOption = None, as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False
) -> None:
    """Verify the chain of every account. Prints the first broken row of each; exits 1 if there is one."""
    count, breaks = asyncio.run(_verify(data))
    if as_json:
        typer.echo(json.dumps({"chains": count, "breaks": [_document(broken) for broken in breaks]}))
    else:
        for broken in breaks:
            typer.echo(f"{broken.account_id or 'provider'}: row {broken.sequence} {broken.reason}.", err=True)
        typer.echo(f"{count} chains, {len(breaks)} broken.")
    if breaks:
        raise typer.Exit(1)


def _document(broken: Break) -> dict[str, str | int]:
    return {"account": broken.account_id, "row": broken.sequence, "reason": broken.reason}


async def _verify(data: Path | None) -> tuple[int, list[Break]]:
    """Verify in short snapshots: a chain only grows, and vacuum waits for no long one."""
    verifier = ChainVerifier()
    async with open_container(settings_of(data)) as container:
        async with container.database.snapshot() as tx:
            rows = await count_rows(tx)
        with progress("Verifying rows", rows) as advance:
            count = PORTION
            while count == PORTION:
                async with container.database.snapshot() as tx:
                    count = await verifier.verify_next(tx, PORTION)
                advance(count)
    return verifier.chains, verifier.breaks
