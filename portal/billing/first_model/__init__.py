"""The model by which invoices were written at first, kept so that those that were can be billed again."""

from portal.billing.first_model.invoice_lines import (
    InvoiceInputs,
    LateUsage,
    PeriodUsage,
    build_lines,
    inputs_from,
    is_worth_an_invoice,
    price_usage,
    tariff_of,
)

__all__ = [
    "InvoiceInputs",
    "LateUsage",
    "PeriodUsage",
    "build_lines",
    "inputs_from",
    "is_worth_an_invoice",
    "price_usage",
    "tariff_of",
]
