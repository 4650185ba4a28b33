"""`portal rate`: price a quantity with a tariff file, without a server."""

import json
import re
from pathlib import Path
from typing import Annotated

import typer

from portal.billing import Share, add_up, decimal_from, rate_usage
from portal.cli.invoice_documents import line_document, total_document
from portal.cli.tariff_file import read_tariff
from portal.cli.usage_errors import refusing_invalid
from portal.core.errors import Invalid

DAYS = re.compile(r"([0-9]{1,3})/([0-9]{1,3})")


def rate(
    tariff: Annotated[Path, typer.Argument(metavar="TARIFF.json", help="File with the tariff.")],
    units: Annotated[str, typer.Option("--units", help="Quantity for every charge.")],
    currency: Annotated[str | None, typer.Option("--currency", help="Instead of the file's, like EUR.")] = None,
    days: Annotated[str | None, typer.Option("--days", help="Days on the plan, of its period's: 12/31.")] = None,
) -> None:
    """Price a quantity with a tariff. Prints one JSON line for each invoice line, then the total."""
    with refusing_invalid():
        quantity = decimal_from(units, ("--units",))
        read = read_tariff(tariff, currency)
        lines = rate_usage(read, {charge.code: quantity for charge in read.charges}, _share(days))
    for document in (
        *map(line_document, lines),
        total_document(add_up(lines, read.currency, read.tax_percent), read.currency),
    ):
        typer.echo(json.dumps(document))


def _share(days: str | None) -> Share:
    """Return the share of a period that "12/31" says. Raises Invalid."""
    found = DAYS.fullmatch(days or "1/1")
    try:
        return Share(*map(int, found.groups())) if found else Share(0, 0)
    except ValueError:
        raise Invalid("This is no share of a period.", hint="Write it like 12/31.", path=("--days",)) from None
