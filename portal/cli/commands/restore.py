"""`portal restore finish`: the last step after PostgreSQL was restored from a backup."""

import asyncio
import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from portal.cli.target import DataOption, settings_of
from portal.core.errors import PortalError
from portal.limits import LimitsUnavailable
from portal.runtime import RestoreReport, finish_restore, open_container

app = typer.Typer(help="Finish a restore of PostgreSQL.", no_args_is_help=True)
CANNOT_BE_KNOWN = (
    "What nobody knows, and is as it was when the backup was made: people, passwords, sessions and personal tokens;"
    " plans, subscriptions and limits; keys whose change Redis had forgotten. Look at the audit log from that time on."
)


@app.callback()
def restore() -> None:
    """Finish a restore of PostgreSQL."""


@app.command("finish")
def finish(
    data: DataOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Apply again what Redis knows and the restored PostgreSQL has lost, and list what cannot be known.

    Revocations, pauses, suspensions and ended secrets are written back and audited; policy versions are raised above
    Redis's; quotas are counted from PostgreSQL anew. Ship the kept journals first: `portal journal ship DIR --again`.
    """
    report = asyncio.run(_finish(data))
    typer.echo(json.dumps(asdict(report)) if as_json else _describe(report))


async def _finish(data: Path | None) -> RestoreReport:
    async with open_container(settings_of(data)) as container:
        try:
            return await finish_restore(container)
        except LimitsUnavailable as error:
            raise PortalError(f"Redis does not answer: {error}.", hint="Every shard is needed; run it again.") from None


def _describe(report: RestoreReport) -> str:
    changed = sum(map(len, report.changed.values()))
    lines = [
        f"{report.accounts:,} accounts compared with Redis, {report.healed:,} were behind and are not any more.",
        f"{changed:,} keys were restricted again as they had been.",
        *(f"  {account_id}: {', '.join(ids)}" for account_id, ids in report.changed.items()),
        f"{len(report.revoked_tokens):,} service tokens were revoked again.",
        *(f"  {token_id}" for token_id in report.revoked_tokens),
    ]
    if report.unknown_accounts:
        lines += ["Accounts made after the backup, which have to sign up again:", *_listed(report.unknown_accounts)]
    if report.unknown_keys:
        lines.append("Keys and secrets made after the backup, which have to be made again:")
        lines += [f"  {account_id}: {', '.join(ids)}" for account_id, ids in report.unknown_keys.items()]
    if report.unknown_tokens:
        lines += [
            "Service tokens made after the backup: give those gateways new ones:",
            *_listed(report.unknown_tokens),
        ]
    return "\n".join([*lines, CANNOT_BE_KNOWN])


def _listed(ids: list[str]) -> list[str]:
    return [f"  {id_}" for id_ in ids]
