"""`portal plan`: the catalogue, its versions, and what usage costs on each plan."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from portal import plans
from portal.billing import normalize_plan_tariff, parse_tariff_or_none, tariff_document
from portal.cli.json_file import read_json_object
from portal.cli.target import DataOption, settings_of
from portal.cli.tariff_file import read_tariff
from portal.cli.usage_errors import refusing_invalid
from portal.core.actor import SYSTEM
from portal.core.database import Tx
from portal.core.money import Money
from portal.plans import Plan
from portal.runtime import open_container

Value = TypeVar("Value")
PlanName = Annotated[str, typer.Argument(metavar="PLAN", help="Slug or id of the plan, like pro.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
app = typer.Typer(help="Show and change the plans of the catalogue.", no_args_is_help=True)


@app.callback()
def plan_commands() -> None:
    """Show and change the plans of the catalogue."""


@app.command("list")
def list_(data: DataOption = None, as_json: JsonOption = False) -> None:
    """Print every plan of the catalogue, the lowest rank first."""
    rows = sorted(_run(data, plans.list_plans), key=lambda plan: plan.rank or 0)
    if as_json:
        typer.echo(json.dumps([_shown(plan) for plan in rows], indent=2))
        return
    for plan in rows:
        quota = "unlimited" if plan.monthly_quota is None else f"{plan.monthly_quota:,}"
        overage = " with overage" if plan.is_overage_allowed else ""
        price = Money(plan.price, plan.currency)
        columns = f"{plan.rank:>4}  {plan.slug:<16} {f'v{plan.version}':<5} {price!s:>14}  {quota}{overage}"
        notes = [
            _visibility(plan),
            *(["retired"] if plan.retired_at else []),
            *(["default"] if plan.is_default else []),
        ]
        typer.echo(f"{columns}  ({', '.join(notes)})")


@app.command("show")
def show(
    plan: PlanName,
    version: Annotated[int | None, typer.Option(help="Number of a version; the newest by default.")] = None,
    data: DataOption = None,
) -> None:
    """Print a plan as the document that `portal plan create` takes."""

    async def read(tx: Tx) -> tuple[Plan, list[str]]:
        found = await plans.get_plan_called(tx, plan)
        versions = [
            f"v{row.version} {row.created_at:%Y-%m-%d %H:%M}" for row in await plans.list_versions(tx, found.id)
        ]
        return found if version is None else await plans.get_plan_at(tx, found.id, version), versions

    found, versions = _run(data, read)
    typer.echo(json.dumps(plans.plan_document(found), indent=2))
    typer.echo(f"Version {found.version} of {', '.join(versions)}.", err=True)


@app.command("create")
def create(
    file: Annotated[Path, typer.Argument(metavar="PLAN.json", help="File with the plan.")], data: DataOption = None
) -> None:
    """Create a plan from a document. `portal plan show pro` prints one to start from."""
    with refusing_invalid():
        document = normalize_plan_tariff(read_json_object(file, "plan"))
        created = _run(data, lambda tx: plans.create_plan(tx, SYSTEM, document))
    typer.echo(json.dumps(_shown(created), indent=2))
    typer.echo(f"Created. Accounts may choose {created.name} {_who(created)}.", err=True)


@app.command("version")
def version(
    plan: PlanName,
    file: Annotated[Path, typer.Argument(metavar="CHANGES.json", help="File with the fields that change.")],
    data: DataOption = None,
) -> None:
    """Change a plan for accounts that choose it from now on. Those on it keep what they have.

    The file is a part of what `portal plan show` prints. A change of rank or visibility makes no version: it applies at
    once.
    """
    with refusing_invalid():
        changes = normalize_plan_tariff(read_json_object(file, "plan"))

        async def change(tx: Tx) -> tuple[int, Plan]:
            before = (await plans.get_plan_called(tx, plan)).version
            return before, await plans.add_plan_version(tx, SYSTEM, plan, changes)

        before, changed = _run(data, change)
    typer.echo(json.dumps(_shown(changed), indent=2))
    typer.echo(_version_note(before, changed), err=True)


@app.command("retire")
def retire(plan: PlanName, data: DataOption = None) -> None:
    """Sell a plan no more. Accounts that are on it keep it."""
    retired = _run(data, lambda tx: plans.retire_plan(tx, SYSTEM, plan))
    typer.echo(f"{retired.name} is retired: no account can choose it any more, and those on it keep it.", err=True)


@app.command("tariff")
def tariff(
    plan: PlanName,
    file: Annotated[Path | None, typer.Argument(metavar="[TARIFF.json]", help="File with the new tariff.")] = None,
    data: DataOption = None,
) -> None:
    """Print the tariff of a plan, or set it in a new version, for accounts that choose the plan from now on."""
    with refusing_invalid():
        document = None if file is None else tariff_document(read_tariff(file))

    async def change(tx: Tx) -> tuple[int, Plan]:
        before = await plans.get_plan_called(tx, plan)
        if document is None:
            return before.version, before
        number = before.version
        return number, await plans.set_tariff(tx, SYSTEM, plan, document)

    before, found = _run(data, change)
    priced = parse_tariff_or_none(found.tariff)
    typer.echo(json.dumps(tariff_document(priced) if priced else {}, indent=2))
    if priced is None:
        typer.echo(f"Usage costs nothing on {found.name}.", err=True)
    if document is not None:
        typer.echo(_version_note(before, found), err=True)


def _run(data: Path | None, work: Callable[[Tx], Awaitable[Value]]) -> Value:
    async def run() -> Value:
        async with open_container(settings_of(data)) as container, container.database.transaction() as tx:
            return await work(tx)

    return asyncio.run(run())


def _shown(plan: Plan) -> dict[str, Any]:
    retired_at = plan.retired_at.isoformat() if plan.retired_at else None
    return {"id": plan.id, "version": plan.version, "retired_at": retired_at} | plans.plan_document(plan)


def _visibility(plan: Plan) -> str:
    return {"public": "public", "approval": "by approval", "staff": "staff only"}[plan.visibility]


def _who(plan: Plan) -> str:
    return {"public": "now", "approval": "by approval only", "staff": "through staff only"}[plan.visibility]


def _version_note(before: int, plan: Plan) -> str:
    if plan.version == before:
        return f"No new version: {plan.name} stays at version {before}."
    return f"Version {plan.version} of {plan.name}. Accounts on an earlier version keep its prices, limits and quota."
