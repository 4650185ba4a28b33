"""`portal usage audit`: whether the ledgers of usage agree, from the raw event to the line of the invoice."""

import asyncio
import json
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Annotated

import typer

from portal.billing import audit_invoice, audit_numbers, list_invoiced
from portal.cli.progress import progress
from portal.cli.target import DataOption, settings_of
from portal.core.database import Database, Tx
from portal.core.settings import Settings
from portal.runtime.container import retention_of
from portal.usage import Difference, Retention, audit_account, audited_months, list_accounts_to_audit, parse_month

SHOWN = 20
LONG_SECONDS = 3600.0

AccountOption = Annotated[str | None, typer.Option("--account", help="Only this account.")]
PeriodOption = Annotated[str | None, typer.Option("--period", help="Only this month, YYYY-MM.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@dataclass(frozen=True, slots=True)
class Audited:
    """How many accounts were compared in how many months, and what does not agree."""

    accounts: int
    months: int
    differences: list[Difference]


def audit(
    account: AccountOption = None, period: PeriodOption = None, data: DataOption = None, as_json: JsonOption = False
) -> None:
    """Compare raw events, buckets, billing periods and invoices; exit 1 and the first differences if there are any."""
    month = parse_month(period) if period else None
    audited = asyncio.run(_audit(settings_of(data), account, month))
    count = len(audited.differences)
    if as_json:
        shown = [asdict(one) for one in audited.differences[:SHOWN]]
        document = {"accounts": audited.accounts, "months": audited.months, "count": count, "differences": shown}
        typer.echo(json.dumps(document, default=datetime.isoformat))
    else:
        for one in audited.differences[:SHOWN]:
            typer.echo(_line(one), err=True)
        if count > SHOWN:
            typer.echo(f"… and {count - SHOWN:,} more.", err=True)
        typer.echo(f"{audited.accounts:,} accounts in {audited.months} months, {count:,} differences.")
    if count:
        raise typer.Exit(1)


def _line(one: Difference) -> str:
    place = " ".join(part for part in (one.account_id, one.key_id, one.day) if part)
    since = f", the first at {one.first_at:%H:%M}" if one.first_at else ""
    return f"{place}: {one.ledger} say {one.found:,} {one.measure}, {one.against} {one.expected:,}{since}."


async def _audit(settings: Settings, account: str | None, month: datetime | None) -> Audited:
    retention = retention_of(settings)
    database = Database(settings.database_url.get_secret_value(), pool_size=1, command_seconds=LONG_SECONDS)
    try:
        async with database.snapshot() as tx:
            months = [month] if month else audited_months(tx.now, retention)
            return await _compare(tx, months, account, retention)
    finally:
        await database.close()


async def _compare(tx: Tx, months: list[datetime], account: str | None, retention: Retention) -> Audited:
    work = [(one, each) for one in months for each in ([account] if account else await _accounts(tx, one))]
    found: list[Difference] = []
    with progress("Comparing accounts and months", len(work)) as advance:
        for month, each in work:
            found += await audit_account(tx, each, month, retention)
            found += await audit_invoice(tx, each, f"{month:%Y-%m}")
            advance(1)
    found += await audit_numbers(tx)
    return Audited(len({each for _, each in work}), len(months), found)


async def _accounts(tx: Tx, month: datetime) -> list[str]:
    """Who used anything in a month, or was billed for it."""
    return sorted({*await list_accounts_to_audit(tx, month), *await list_invoiced(tx, f"{month:%Y-%m}")})
