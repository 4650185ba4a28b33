"""`portal prorate`: what some days of a period cost."""

from datetime import date
from typing import Annotated

import typer

from portal import billing
from portal.cli.usage_errors import refusing_invalid
from portal.core.errors import Invalid

OPTIONS = {"first": "--from", "last": "--to", "period_first": "--period-from", "period_last": "--period-to"}
"""The options by the names of the parameters of `days_covered`."""


def prorate(  # one parameter an option is how typer wants it
    amount: Annotated[str, typer.Option("--amount", help="Price of the whole period, like 49.00.")],
    first: Annotated[str, typer.Option("--from", help="First day, like 2026-11-10.")],
    last: Annotated[str, typer.Option("--to", help="Last day, included.")],
    period_first: Annotated[str, typer.Option("--period-from", help="First day of the period.")],
    period_last: Annotated[str, typer.Option("--period-to", help="Last day of the period, included.")],
    currency: Annotated[str, typer.Option("--currency", help="Decides the number of decimals.")] = "EUR",
) -> None:
    """Print what some days of a period cost, first and last day included."""
    with refusing_invalid():
        whole = billing.signed_decimal_from(amount, ("--amount",))
        days = zip((first, last, period_first, period_last), OPTIONS.values(), strict=True)
        share = _share(*(_day(text, option) for text, option in days))
        part = billing.prorate(whole, share, billing.currency_from(currency, ("--currency",)))
    typer.echo(str(part))


def _share(*days: date) -> billing.Share:
    """Return the share of the period. Raises Invalid with the name of the option."""
    try:
        return billing.days_covered(*days)
    except Invalid as error:
        path = tuple(OPTIONS[name] for name in error.path)
        raise Invalid(error.message, hint=error.hint, path=path) from None


def _day(text: str, option: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise Invalid("This is not a day.", hint="Write it like 2026-11-10.", path=(option,)) from None
