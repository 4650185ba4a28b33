"""`portal doctor`: examine settings, services, migrations, billing and disk; say what is wrong and how to fix it."""

import asyncio
import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from portal.cli.doctor.check_invoices import examine_invoices
from portal.cli.doctor.check_quarantine import examine_quarantine
from portal.cli.doctor.checks import (
    Finding,
    State,
    examine_backlog,
    examine_broker,
    examine_clocks,
    examine_disk,
    examine_migrations,
    examine_postgres,
    examine_redis,
    examine_sentinels,
)
from portal.cli.target import settings_of
from portal.core.errors import StartupError

SIGNS = {State.GOOD: "✓", State.DOUBTFUL: "!", State.BAD: "✗"}


def doctor(
    data: Annotated[
        Path | None, typer.Option(help="Examine the `portal run` of this folder instead of the configured services.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Examine settings, services, migrations, clocks and disk. Exits 1 if something must be fixed."""
    findings = asyncio.run(_examine(data))
    if as_json:
        typer.echo(json.dumps([asdict(finding) for finding in findings], ensure_ascii=False))
    else:
        for finding in findings:
            typer.echo(_line(finding))
    if any(finding.state is State.BAD for finding in findings):
        raise typer.Exit(1)


def _line(finding: Finding) -> str:
    hint = f" {finding.hint}" if finding.hint else ""
    return f"{SIGNS[finding.state]} {finding.what:<12} {finding.message}{hint}"


async def _examine(data: Path | None) -> list[Finding]:
    try:
        settings = settings_of(data)
    except StartupError as error:
        hint = error.hint if data is not None else f"{error.hint} To examine that one, name its folder with --data."
        return [Finding("settings", State.BAD, error.message, hint)]
    findings = [Finding("settings", State.GOOD, "usable.")]
    url = settings.database_url.get_secret_value()
    postgres = await examine_postgres(url)
    findings.append(postgres)
    if postgres.state is not State.BAD:
        migrations = await examine_migrations(url)
        findings.append(migrations)
        if migrations.state is State.GOOD:
            findings.append(await examine_invoices(url, settings.invoice_grace))
            quarantine = await examine_quarantine(url)
            findings += [quarantine] if quarantine else []
    redis_urls = [redis.get_secret_value() for redis in settings.redis_urls]
    for redis in redis_urls:
        findings.append(await examine_redis(redis))
        sentinels = await examine_sentinels(redis)
        findings += [sentinels] if sentinels else []
    findings.append(await examine_clocks(url, redis_urls))
    if settings.amqp_url is not None:
        findings.append(await examine_broker(settings.amqp_url.get_secret_value(), settings.dead_letter_days))
    findings += [examine_disk(settings.data), examine_backlog(settings.data)]
    return findings
