"""All that an invoice depends on, kept with it as JSON, and the lines that it gives: by the model that wrote it."""

from collections.abc import Sequence
from typing import Any

import msgspec

from portal.billing import first_model
from portal.billing.invoice_lines import InvoiceLineDraft

InvoiceInputs = first_model.InvoiceInputs


def inputs_from(document: dict[str, Any]) -> InvoiceInputs:
    """Return the inputs that `to_json` wrote; `model` is absent in those of the first model.

    Raises msgspec.ValidationError.
    """
    if document.get("model", 1) != 1:
        raise msgspec.ValidationError(f"model {document['model']} is not known")
    return msgspec.convert(document, first_model.InvoiceInputs)


def build_lines(inputs: InvoiceInputs) -> list[InvoiceLineDraft]:
    """Return the lines of an invoice, the same for the same inputs for ever."""
    return first_model.build_lines(inputs)


def is_worth_an_invoice(inputs: InvoiceInputs, drafts: Sequence[InvoiceLineDraft]) -> bool:
    """Tell whether there is anything to bill."""
    return first_model.is_worth_an_invoice(inputs, drafts)
