"""All that an invoice depends on, kept with it as JSON, and the lines that it gives: by the model that wrote it."""

from collections.abc import Sequence
from typing import Any

import msgspec

from portal.billing import first_model, second_model
from portal.billing.invoice_lines import InvoiceLineDraft
from portal.plans import AccountPeriod

InvoiceInputs = first_model.InvoiceInputs | second_model.InvoiceInputs


def inputs_from(document: dict[str, Any]) -> InvoiceInputs:
    """Return the inputs that `to_json` wrote; `model` is absent in those of the first model.

    Raises msgspec.ValidationError.
    """
    match document.get("model", 1):
        case 1:
            return first_model.inputs_from(document)
        case 2:
            return msgspec.convert(document, second_model.InvoiceInputs)
        case model:
            raise msgspec.ValidationError(f"model {model} is not known")


def period_of(inputs: InvoiceInputs) -> AccountPeriod:
    """Return the period that is billed."""
    if isinstance(inputs, first_model.InvoiceInputs):
        return inputs.billed_period
    return AccountPeriod(inputs.period, inputs.time_zone, inputs.start, inputs.end)


def build_lines(inputs: InvoiceInputs) -> list[InvoiceLineDraft]:
    """Return the lines of an invoice, the same for the same inputs for ever."""
    if isinstance(inputs, first_model.InvoiceInputs):
        return first_model.build_lines(inputs)
    return second_model.build_lines(inputs)


def is_worth_an_invoice(inputs: InvoiceInputs, drafts: Sequence[InvoiceLineDraft]) -> bool:
    """Tell whether there is anything to bill."""
    if isinstance(inputs, first_model.InvoiceInputs):
        return first_model.is_worth_an_invoice(inputs, drafts)
    return second_model.is_worth_an_invoice(inputs, drafts)
