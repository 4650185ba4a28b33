"""`portal account`: settings of an account."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from portal import plans
from portal.accounts import get_account
from portal.check import load_used
from portal.cli.target import DataOption, settings_of
from portal.cli.usage_errors import refusing_invalid
from portal.core.actor import SYSTEM, Actor
from portal.core.ids import AccountId
from portal.runtime import open_container

AccountName = Annotated[str, typer.Argument(metavar="ACCOUNT", help="Id of the account, like acct_….")]
app = typer.Typer(help="Show and change an account.", no_args_is_help=True)


@app.callback()
def account_commands() -> None:
    """Show and change an account."""


@app.command("plan")
def plan(
    account: AccountName,
    name: Annotated[
        str | None, typer.Argument(metavar="[PLAN]", help="Slug or id of the plan to put it on; none: only show.")
    ] = None,
    data: DataOption = None,
) -> None:
    """Print the plan that an account is on and the one that waits, or put the account on a plan at once.

    What waits for the next billing month is dropped then. A plan of lower rank is refused where a fee that is on an
    invoice already would have to be given back.
    """
    with refusing_invalid():
        found = asyncio.run(_plan(account, name, data))
    since = f", since {found.started_at:%Y-%m-%d %H:%M} UTC" if found.started_at else ""
    typer.echo(f"{found.plan.slug}  version {found.plan.version}{since}")
    if found.pending is not None:
        waits = found.pending
        typer.echo(f"{waits.plan.slug}  version {waits.plan.version}, from {waits.starts_at:%Y-%m-%d %H:%M} UTC on")


async def _plan(account_id: str, name: str | None, data: Path | None) -> plans.AccountPlan:
    async with open_container(settings_of(data)) as container, container.database.transaction() as tx:
        account = await get_account(tx, account_id)
        if name is None:
            return await plans.get_account_plan(tx, account_id)
        chosen = await plans.get_plan_called(tx, name)
        actor = Actor("system", SYSTEM.id, AccountId(account_id))
        return await plans.move_account(tx, actor, chosen.id, used=await load_used(tx, account, None))


@app.command("zone")
def zone(
    account: AccountName,
    time_zone: Annotated[
        str | None, typer.Argument(metavar="[ZONE]", help="Time zone from the next billing period on; none: only show.")
    ] = None,
    data: DataOption = None,
) -> None:
    """Print an account's time zone with its billing periods, or choose another from the next period on."""
    with refusing_invalid():
        current, following = asyncio.run(_zone(account, time_zone, data))
    for period in (current, following):
        typer.echo(
            f"{period.name}  {period.start:%Y-%m-%d %H:%M} to {period.end:%Y-%m-%d %H:%M} UTC  {period.time_zone}"
        )


async def _zone(
    account_id: str, time_zone: str | None, data: Path | None
) -> tuple[plans.AccountPeriod, plans.AccountPeriod]:
    async with open_container(settings_of(data)) as container, container.database.transaction() as tx:
        account = await get_account(tx, AccountId(account_id))
        if time_zone is not None:
            await plans.set_time_zone(tx, Actor("system", SYSTEM.id, AccountId(account_id)), time_zone)
        return (await plans.load_periods(tx, account)).around(tx.now)
