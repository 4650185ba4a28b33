"""`portal rate`: price a quantity with a tariff file, without a server."""

import json
import re
from pathlib import Path
from typing import Annotated, Any

import typer

from portal.billing import Line, Share, Totals, add_up, decimal_from, format_decimal, part_document, rate_usage
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
    for document in (*map(_document, lines), _total(add_up(lines, read.currency, read.tax_percent), read.currency)):
        typer.echo(json.dumps(document))


def _share(days: str | None) -> Share:
    """Return the share of a period that "12/31" says. Raises Invalid."""
    found = DAYS.fullmatch(days or "1/1")
    try:
        return Share(*map(int, found.groups())) if found else Share(0, 0)
    except ValueError:
        raise Invalid("This is no share of a period.", hint="Write it like 12/31.", path=("--days",)) from None


def _document(line: Line) -> dict[str, Any]:
    return {
        "kind": line.kind.value,
        "code": line.code,
        "description": line.description,
        "quantity": None if line.quantity is None else format_decimal(line.quantity),
        "amount": str(line.amount),
        "parts": [part_document(part) for part in line.parts],
    }


def _total(totals: Totals, currency: str) -> dict[str, str]:
    amounts = {"subtotal": totals.subtotal, "tax": totals.tax, "total": totals.total}
    return {"kind": "total", "currency": currency, **{name: str(amount) for name, amount in amounts.items()}}
