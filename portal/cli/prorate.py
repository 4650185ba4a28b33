"""`portal prorate`: what a part of a period costs."""

from datetime import date
from typing import Annotated

import typer

from portal import billing
from portal.cli.mistakes import refusing_invalid
from portal.core.errors import Invalid


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
        share = billing.days_covered(
            _day(first, "--from"),
            _day(last, "--to"),
            _day(period_first, "--period-from"),
            _day(period_last, "--period-to"),
        )
        part = billing.prorate(whole, share, billing.currency_from(currency, ("--currency",)))
    typer.echo(str(part))


def _day(text: str, option: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise Invalid("This is no day.", hint="Write it like 2026-11-10.", path=(option,)) from None
