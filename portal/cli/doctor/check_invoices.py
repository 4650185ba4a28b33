"""What `portal doctor` says of billing: whether every plan's tariff can be read, and nobody's invoice is overdue."""

from datetime import timedelta

from sqlalchemy.exc import SQLAlchemyError

from portal.billing import count_overdue, parse_tariff_or_none
from portal.cli.doctor.checks import Finding, State
from portal.core.database import Database, Tx
from portal.core.errors import Invalid
from portal.plans import Plan, list_plans

WHAT = "invoices"


async def examine_invoices(url: str, grace: timedelta) -> Finding:
    """After the migrations were found to be the newest."""
    database = Database(url, pool_size=1)
    try:
        async with database.transaction() as tx:
            return await _examine(tx, grace)
    except (OSError, SQLAlchemyError) as error:
        return Finding(WHAT, State.BAD, f"cannot be read: {type(error).__name__}.", "Check the log-in's rights.")
    finally:
        await database.close()


async def _examine(tx: Tx, grace: timedelta) -> Finding:
    for plan in await list_plans(tx):
        if wrong := _mistake(plan):
            message = f"the tariff of {plan.slug} cannot be billed: {wrong}"
            return Finding(WHAT, State.BAD, message, f"Set it anew: portal plan tariff {plan.slug} TARIFF.json.")
    if overdue := await count_overdue(tx, grace):
        message = f"{overdue:,} that should have been written an hour ago are not, and nothing shows that they will be."
        hint = "See that `portal worker` runs with finalize_invoices and number_invoices, and its log for both."
        return Finding(WHAT, State.DOUBTFUL, message, hint)
    return Finding(WHAT, State.GOOD, "all that are due are written, and every tariff can be read.")


def _mistake(plan: Plan) -> str | None:
    try:
        tariff = parse_tariff_or_none(plan.tariff)
    except Invalid as error:
        return f"{'.'.join(error.path)}: {error.message}"
    if tariff is not None and tariff.currency != plan.currency:
        return f"it is in {tariff.currency}, the plan in {plan.currency}."
    return None
