"""`portal prorate`: what a part of a period costs."""

from datetime import date
from typing import Annotated

import typer

from portal import billing
from portal.cli.usage_errors import refusing_invalid
from portal.core.errors import Invalid

OPTIONS = {"first": "--from", "last": "--to", "period_first": "--period-from", "period_last": "--period-to"}
"""By the names that `days_covered` has for them."""


def prorate(  # one parameter an option is how typer wants it
    amount: Annotated[str, typer.Option("--amount", help="For the whole period, like 49.00.")],
    first: Annotated[str, typer.Option("--from", help="The first day, like 2026-11-10.")],
    last: Annotated[str, typer.Option("--to", help="The last day; it counts too.")],
    period_first: Annotated[str, typer.Option("--period-from", help="The period's first day.")],
    period_last: Annotated[str, typer.Option("--period-to", help="The period's last day.")],
    currency: Annotated[str, typer.Option("--currency", help="Says to how many decimals.")] = "EUR",
) -> None:
    """Print the part of an amount that some days of a period cost, both end days counted."""
    with refusing_invalid():
        whole = billing.signed_decimal_from(amount, ("--amount",))
        days = zip((first, last, period_first, period_last), OPTIONS.values(), strict=True)
        share = _share(*(_day(text, option) for text, option in days))
        part = billing.prorate(whole, share, billing.currency_from(currency, ("--currency",)))
    typer.echo(str(part))


def _share(*days: date) -> billing.Share:
    """Raises Invalid with the option's name."""
    try:
        return billing.days_covered(*days)
    except Invalid as error:
        path = tuple(OPTIONS[name] for name in error.path)
        raise Invalid(error.message, hint=error.hint, path=path) from None


def _day(text: str, option: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise Invalid("This is no day.", hint="Write it like 2026-11-10.", path=(option,)) from None
