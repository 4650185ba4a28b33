"""The second model of invoices: each stretch of days on one plan by itself. Previews go by it, invoices not yet. Pure.

inputs.py        what an invoice depends on, from a period's history and what was counted
fee_lines.py     openings, upgrades and moves by days; the fee of the next period, whole
usage_lines.py   usage of each stretch, with its bounds; what was told late, by its own day
carry_over.py    an invoice stops at 0, and what is left goes to the next one
plan_month.py    what a whole month of some units costs on a plan, for pages that compare plans
"""

from collections.abc import Sequence

from portal.billing.invoice_lines import InvoiceLineDraft
from portal.billing.second_model.carry_over import carried_in_lines, carried_over, carried_over_lines, is_carried
from portal.billing.second_model.fee_lines import ahead_fee_lines, change_fee_lines
from portal.billing.second_model.inputs import (
    CarriedOver,
    InvoiceInputs,
    LateUsage,
    PlanFee,
    StretchUsage,
    invoice_inputs,
    usage_by_stretch,
)
from portal.billing.second_model.plan_month import PlanMonth, price_plan_month
from portal.billing.second_model.usage_lines import late_line, usage_lines

__all__ = [
    "CarriedOver",
    "InvoiceInputs",
    "LateUsage",
    "PlanFee",
    "PlanMonth",
    "StretchUsage",
    "build_lines",
    "carried_over",
    "invoice_inputs",
    "is_worth_an_invoice",
    "price_plan_month",
    "usage_by_stretch",
]


def build_lines(inputs: InvoiceInputs) -> list[InvoiceLineDraft]:
    """Return an invoice's lines: this period's changes and usage, what came late or was left over, the fee ahead."""
    lines = [
        *change_fee_lines(inputs.fees, inputs.currency),
        *(line for stretch in inputs.usage for line in usage_lines(stretch, inputs.currency)),
        *(late_line(late, inputs.currency) for late in inputs.late),
        *carried_in_lines(inputs.carried),
        *ahead_fee_lines(inputs.fees, inputs.currency),
    ]
    return [*lines, *carried_over_lines(lines, inputs.currency, inputs.period)]


def is_worth_an_invoice(inputs: InvoiceInputs, drafts: Sequence[InvoiceLineDraft]) -> bool:
    """Tell whether there is anything to bill beside what an earlier invoice left over: that waits for the next one."""
    has_units = any(stretch.units for stretch in inputs.usage)
    has_amounts = any(draft.line.amount for draft in drafts if not is_carried(draft))
    return bool(inputs.fees or inputs.late or has_units or has_amounts)
