"""Lines of an invoice between what billing works out and the rows that are kept."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from portal.billing.components import LineComponent
from portal.billing.decimals import format_decimal
from portal.billing.fees import Fee
from portal.billing.invoice_lines import InvoiceLineDraft
from portal.billing.models import InvoiceLine


def lines_of(billed: Sequence[InvoiceLineDraft], account_id: str, invoice_id: str) -> list[InvoiceLine]:
    """As they are stored."""
    return [_line(one, (account_id, invoice_id, position)) for position, one in enumerate(billed, start=1)]


def part_document(part: LineComponent) -> dict[str, str]:
    return {name: format_decimal(getattr(part, name)) for name in ("quantity", "unit", "flat", "amount")}


def parts_from(line: InvoiceLine) -> list[LineComponent]:
    """What `part_document` wrote of them."""
    return [LineComponent(**{name: Decimal(number) for name, number in part.items()}) for part in line.parts]


def _line(billed: InvoiceLineDraft, place: tuple[str, str, int]) -> InvoiceLine:
    line, fee = billed.line, billed.fee
    account_id, invoice_id, position = place
    return InvoiceLine(
        account_id=account_id,
        invoice_id=invoice_id,
        position=position,
        kind=line.kind,
        code=fee.plan if fee else line.code,
        description=line.description,
        period=billed.period,
        units=None if line.quantity is None else int(line.quantity),
        amount=line.amount,
        parts=[part_document(part) for part in line.parts],
        plan_id=billed.plan_id,
        tax_percent=billed.tax_percent,
        **(_charged(fee) if fee else {}),
    )


def _charged(fee: Fee) -> dict[str, Any]:
    price = -fee.price if fee.is_credit else fee.price
    return {"price": price, "first_day": fee.first, "last_day": fee.last}
