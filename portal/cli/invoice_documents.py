"""Invoice lines as `portal rate` and `portal prorate` print them: a JSON object each."""

from typing import Any

from portal.billing import Line, Totals, format_decimal, part_document


def line_document(line: Line) -> dict[str, Any]:
    """Return an invoice line as an object of JSON, with amounts as strings."""
    return {
        "kind": line.kind.value,
        "code": line.code,
        "description": line.description,
        "quantity": None if line.quantity is None else format_decimal(line.quantity),
        "amount": str(line.amount),
        "parts": [part_document(part) for part in line.parts],
    }


def total_document(totals: Totals, currency: str) -> dict[str, str]:
    """Return an invoice's total as the last object."""
    amounts = {"subtotal": totals.subtotal, "tax": totals.tax, "total": totals.total}
    return {"kind": "total", "currency": currency, **{name: str(amount) for name, amount in amounts.items()}}
