"""`portal usage audit`: compare the ledgers of usage, from the raw event to the invoice line."""

import asyncio
import json
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Annotated

import typer

from portal.billing import audit_invoices, audit_numbers, list_invoiced
from portal.cli.progress import progress
from portal.cli.target import DataOption, settings_of
from portal.core.database import Database, Tx
from portal.core.settings import Settings
from portal.runtime import retention_of
from portal.usage import Difference, audit_accounts, list_accounts_to_audit, list_months_to_audit, parse_month

MAX_SHOWN = 20
LONG_SECONDS = 3600.0
PORTION = 500
"""Accounts of a snapshot, each comparison of which is one statement."""

AccountOption = Annotated[str | None, typer.Option("--account", help="Only this account.")]
PeriodOption = Annotated[str | None, typer.Option("--period", help="Only this month, YYYY-MM.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@dataclass(frozen=True, slots=True)
class AuditResult:
    """The number of accounts and months that were compared, and where they do not agree."""

    accounts: int
    months: int
    differences: list[Difference]


def audit(
    account: AccountOption = None, period: PeriodOption = None, data: DataOption = None, as_json: JsonOption = False
) -> None:
    """Compare raw events, buckets, billing periods and invoices; exit 1 and the first differences if there are any."""
    month = parse_month(period) if period else None
    result = asyncio.run(_audit(settings_of(data), account, month))
    count = len(result.differences)
    if as_json:
        differences = [asdict(difference) for difference in result.differences[:MAX_SHOWN]]
        document = {"accounts": result.accounts, "months": result.months, "count": count, "differences": differences}
        typer.echo(json.dumps(document, default=datetime.isoformat))
    else:
        for difference in result.differences[:MAX_SHOWN]:
            typer.echo(_line(difference), err=True)
        if count > MAX_SHOWN:
            typer.echo(f"… and {count - MAX_SHOWN:,} more.", err=True)
        typer.echo(f"{result.accounts:,} accounts in {result.months} months, {count:,} differences.")
    if count:
        raise typer.Exit(1)


def _line(found: Difference) -> str:
    place = " ".join(part for part in (found.account_id, found.key_id, found.day) if part)
    since = f", the first at {found.first_at:%H:%M}" if found.first_at else ""
    return f"{place}: {found.ledger} say {found.found:,} {found.measure}, {found.against} {found.expected:,}{since}."


async def _audit(settings: Settings, account: str | None, month: datetime | None) -> AuditResult:
    """Compare in short snapshots: usage is in all ledgers or in none in each, and vacuum waits for no long one."""
    retention = retention_of(settings)
    database = Database(settings.database_url.get_secret_value(), pool_size=1, command_seconds=LONG_SECONDS)
    try:
        async with database.snapshot() as tx:
            months = [month] if month else list_months_to_audit(tx.now, retention)
        accounts: set[str] = set()
        differences: list[Difference] = []
        with progress("Comparing accounts, month by month", len(months)) as advance:
            for month in months:
                after: str | None = ""
                while after is not None:
                    async with database.snapshot() as tx:
                        portion = [account] if account else await _next_accounts(tx, month, after)
                        differences += await audit_accounts(tx, portion, month, retention)
                        differences += await audit_invoices(tx, portion, f"{month:%Y-%m}")
                    accounts.update(portion)
                    after = portion[-1] if len(portion) == PORTION else None
                    advance(0)
                advance(1)
        async with database.snapshot() as tx:
            differences += await audit_numbers(tx)
        return AuditResult(len(accounts), len(months), differences)
    finally:
        await database.close()


async def _next_accounts(tx: Tx, month: datetime, after: str) -> list[str]:
    """Return the next accounts by id that used anything in a month, or were billed for it."""
    used = await list_accounts_to_audit(tx, month, after=after, most=PORTION)
    billed = await list_invoiced(tx, f"{month:%Y-%m}", after=after, most=PORTION)
    return sorted({*used, *billed})[:PORTION]
