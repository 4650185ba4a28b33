"""What an account owes: tariffs, rating and proration, which are pure, and the invoices that they make.

Owns `invoices`, `invoice_lines`, `invoice_numbers`, and `billing_accounts`, which tells how far an account is billed.
An account is billed month by month in its own time zone: plans ahead, by the day; usage afterwards, at the tariff of
the plan that it was on that day. What arrives after a month's invoice stands on the next one. An invoice never changes,
and the inputs that are kept with it give the same lines whenever they are billed again. It is issued with its number,
which it gets after it is written; nobody sees it before.

All of the computing is pure: (tariff, quantities, share of the period) become lines. Money is Decimal, never a float;
sums are exact, each line is rounded half-up to minor units once, tax on the rounded lines. Never takes a payment, and
never counts usage: it bills what portal.usage has counted.
"""

from portal.billing.audit import audit_invoices, audit_numbers
from portal.billing.components import LineComponent, part_document, parts_from
from portal.billing.decimals import decimal_from, format_decimal, signed_decimal_from
from portal.billing.draft import Draft, draft_invoice
from portal.billing.finalize import FinalizedInvoice, finalize_invoice, finalize_invoices, register_accounts
from portal.billing.inputs import build_lines
from portal.billing.invoice_lines import totals
from portal.billing.models import Invoice, InvoiceLine
from portal.billing.new_tariff import normalize_plan_tariff, parse_new_tariff
from portal.billing.number import MAX_NUMBERED, number_invoices
from portal.billing.parse_tariff import currency_from, parse_tariff, parse_tariff_or_none
from portal.billing.prorate import Share, days_covered, prorate
from portal.billing.rate import Line, Totals, add_up, rate_usage
from portal.billing.second_model import PlanMonth, invoice_inputs, price_plan_month
from portal.billing.store import (
    Due,
    count_invoices,
    count_overdue,
    find_invoice,
    list_due,
    list_invoiced,
    list_invoices,
    list_lines,
    record_failure,
)
from portal.billing.tariff import Charge, ChargeModel, Tariff, Tier, tariff_document

__all__ = [
    "MAX_NUMBERED",
    "Charge",
    "ChargeModel",
    "Draft",
    "Due",
    "FinalizedInvoice",
    "Invoice",
    "InvoiceLine",
    "Line",
    "LineComponent",
    "PlanMonth",
    "Share",
    "Tariff",
    "Tier",
    "Totals",
    "add_up",
    "audit_invoices",
    "audit_numbers",
    "build_lines",
    "count_invoices",
    "count_overdue",
    "currency_from",
    "days_covered",
    "decimal_from",
    "draft_invoice",
    "finalize_invoice",
    "finalize_invoices",
    "find_invoice",
    "format_decimal",
    "invoice_inputs",
    "list_due",
    "list_invoiced",
    "list_invoices",
    "list_lines",
    "normalize_plan_tariff",
    "number_invoices",
    "parse_new_tariff",
    "parse_tariff",
    "parse_tariff_or_none",
    "part_document",
    "parts_from",
    "price_plan_month",
    "prorate",
    "rate_usage",
    "record_failure",
    "register_accounts",
    "signed_decimal_from",
    "tariff_document",
    "totals",
]
