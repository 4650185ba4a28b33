"""From the inputs to the lines: the same inputs always give the same lines, through JSON too."""

import json
from datetime import date
from decimal import Decimal

from portal.billing.bill import Inputs, Metered, bill, inputs_from, totals
from portal.billing.fees import Fee
from portal.billing.rate import LineKind

TARIFF = {
    "currency": "EUR",
    "charges": [
        {
            "code": "units",
            "model": "graduated",
            "tiers": [{"up_to": "100", "unit": "0", "flat": "0"}, {"up_to": None, "unit": "0.05", "flat": "0"}],
        }
    ],
}
USAGE = Metered("2026-11", "Pro", TARIFF, 150, 30, 30)
PRO = Fee("2026-12", "plan_pro", "Pro", Decimal("49.00"), date(2026, 12, 1), date(2026, 12, 31), 31, is_credit=False)
CREDIT = Fee(
    "2026-11", "plan_big", "Enterprise", Decimal(990), date(2026, 11, 21), date(2026, 11, 30), 30, is_credit=True
)


def inputs(
    fees: list[Fee] | None = None, usage: Metered = USAGE, late: list[Metered] | None = None, tax: Decimal | None = None
) -> Inputs:
    return Inputs("2026-11", "Europe/Berlin", "EUR", tax, fees or [], usage, late or [])


def told(one: Inputs) -> list[tuple[str, str, str, Decimal | None, Decimal]]:
    return [(b.line.kind, b.line.description, b.period, b.line.quantity, b.line.amount) for b in bill(one)]


def test_fees_usage_and_what_came_late() -> None:
    late = Metered("2026-10", "Pro", TARIFF, 130, 31, 31, billed=90)
    assert told(inputs([CREDIT, PRO], late=[late])) == [
        ("fee", "Unused time on Enterprise, 21 to 30 November 2026", "2026-11", None, Decimal("-330.00")),
        ("fee", "Pro, 1 to 31 December 2026", "2026-12", None, Decimal("49.00")),
        ("usage", "Usage in November 2026", "2026-11", Decimal(150), Decimal("2.50")),
        ("adjustment", "Usage in October 2026 that came after its invoice", "2026-10", Decimal(40), Decimal("1.50")),
    ]


def test_late_usage_can_be_given_back() -> None:
    late = Metered("2026-10", "Pro", TARIFF, 120, 31, 31, billed=140)
    (_, line) = bill(inputs(late=[late]))
    assert (line.line.quantity, line.line.amount) == (Decimal(-20), Decimal("-1.00"))


def test_a_plan_without_charges_still_says_what_was_used() -> None:
    (line,) = bill(inputs(usage=Metered("2026-11", "Free", {}, 7_000, 30, 30)))
    assert (line.line.kind, line.line.quantity, line.line.amount) == (LineKind.USAGE, Decimal(7_000), Decimal(0))
    assert sum(part.quantity for part in line.line.parts) == 7_000


def test_a_single_day_is_named_alone_and_a_minimum_by_its_month() -> None:
    one_day = Fee(
        "2026-11", "plan_pro", "Pro", Decimal(30), date(2026, 11, 30), date(2026, 11, 30), 30, is_credit=False
    )
    minimum = Metered("2026-11", "Pro", {**TARIFF, "minimum": "9"}, 150, 10, 30)
    assert [(kind, words, amount) for kind, words, _, _, amount in told(inputs([one_day], minimum))] == [
        ("fee", "Pro, 30 November 2026", Decimal("1.00")),
        ("usage", "Usage in November 2026", Decimal("2.50")),
        ("minimum", "Minimum of November 2026", Decimal("0.50")),
    ]


def test_tax_is_on_the_sum() -> None:
    taxed = inputs([PRO], tax=Decimal(19))
    sums = totals(taxed, bill(taxed))
    assert (sums.subtotal, sums.tax, sums.total) == (Decimal("51.50"), Decimal("9.79"), Decimal("61.29"))


def test_inputs_survive_json_with_the_same_digest_and_lines() -> None:
    whole = inputs([CREDIT, PRO], late=[Metered("2026-10", "Pro", TARIFF, 130, 31, 31, billed=90)], tax=Decimal("7.7"))
    again = inputs_from(json.loads(json.dumps(whole.to_json())))
    assert again == whole
    assert again.digest == whole.digest
    assert bill(again) == bill(whole)
    assert inputs([PRO]).digest != whole.digest


def test_what_is_empty_has_neither_fees_nor_usage() -> None:
    nothing = Metered("2026-11", "Free", {}, 0, 30, 30)
    assert inputs(usage=nothing).is_empty
    assert not inputs([PRO], nothing).is_empty
    assert not inputs().is_empty
    assert not inputs(usage=nothing, late=[Metered("2026-10", "Free", {}, 5, 31, 31)]).is_empty
