"""Invoices that the first model wrote: billed again they have the same digest, lines and totals, for ever."""

import json
from pathlib import Path
from typing import Any

import pytest

from portal.billing.inputs import build_lines, inputs_from
from portal.billing.invoice_lines import rows_of, totals

RECORDED = json.loads((Path(__file__).parent / "first_model_invoices.json").read_text())
"""Inputs of every shape, with what the version that wrote invoices by the first model made of them."""


@pytest.mark.parametrize("recorded", RECORDED, ids=range(len(RECORDED)))
def test_it_is_billed_again_as_it_was_written(recorded: dict[str, Any]) -> None:
    inputs = inputs_from(recorded["inputs"])
    drafts = build_lines(inputs)
    lines = rows_of(drafts, "", "")
    rows = [row.model_dump(mode="json", exclude={"account_id", "invoice_id", "plan_version"}) for row in lines]
    sums = totals(inputs.currency, drafts)
    assert inputs.digest.hex() == recorded["digest"]
    assert inputs.to_json() == recorded["inputs"]
    assert rows == recorded["lines"]
    assert {row.plan_version for row in lines} == {None}, "the second model's alone"
    assert [str(sums.subtotal), str(sums.tax), str(sums.total)] == recorded["totals"]
