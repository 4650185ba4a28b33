"""Invoices of the second model from a history and what was used, without a database."""

from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from portal.billing.inputs import build_lines
from portal.billing.invoice_lines import InvoiceLineDraft
from portal.billing.rate import LineKind
from portal.billing.second_model import CarriedOver, InvoiceInputs, LateUsage, StretchUsage, invoice_inputs
from portal.plans import PeriodHistory, next_period, stretches_of
from tests.plans.plan_model import Account

Told = tuple[str, str, str, str]


def inputs_of(
    held: Account | PeriodHistory,
    *units: int,
    late: Sequence[LateUsage] = (),
    carried: Sequence[CarriedOver] = (),
    zone: str | None = None,
) -> InvoiceInputs:
    """Return the inputs of an invoice; `units` of each stretch, 0 of those that are not given."""
    history = held.history if isinstance(held, Account) else held
    following = next_period(history.period, zone or history.period.time_zone)
    missing = len(stretches_of(history)) - len(units)
    return invoice_inputs(history, following, [*units, *[0] * missing], late, carried)


def told(drafts: Sequence[InvoiceLineDraft]) -> list[Told]:
    """Kind, words, period and amount of each line."""
    return [(b.line.kind.value, b.line.description, b.period, str(b.line.amount)) for b in drafts]


def amounts_of(inputs: InvoiceInputs, *kinds: LineKind) -> list[str]:
    """Return the amounts of all lines, or of those of some kinds."""
    return [str(b.line.amount) for b in build_lines(inputs) if not kinds or b.line.kind in kinds]


def usage_of(inputs: InvoiceInputs) -> list[str]:
    """Return what each stretch comes to, with its bounds."""
    of_usage = {LineKind.USAGE, LineKind.MINIMUM, LineKind.MAXIMUM}
    found: dict[tuple[str, int | None], Any] = {}
    for draft in build_lines(inputs):
        if draft.line.kind in of_usage:
            key = draft.plan_id, draft.version
            found[key] = found.get(key, 0) + draft.line.amount
    return [str(amount) for amount in found.values()]


def later(stretch: StretchUsage, units: int, billed: int | None = None, model: int = 2) -> LateUsage:
    """Return a stretch that was invoiced with the units that it has, or `billed`, and has more now."""
    return LateUsage(replace(stretch, units=units), stretch.units if billed is None else billed, model)
