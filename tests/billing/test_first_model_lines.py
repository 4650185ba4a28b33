"""From the inputs to the lines: the same inputs always give the same lines, through JSON too."""

import json
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from portal.billing.first_model import InvoiceInputs, LateUsage, PeriodUsage
from portal.billing.first_model.fees import Fee
from portal.billing.inputs import build_lines, inputs_from, is_worth_an_invoice
from portal.billing.invoice_lines import totals
from portal.billing.rate import LineKind
from portal.core.errors import Invalid

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
TAX = Decimal(19)
AHEAD = date(2026, 12, 1), date(2026, 12, 31), 31
PRO = Fee("2026-12", "plan_pro", "Pro", Decimal("49.00"), None, *AHEAD, is_credit=False)
UNUSED = date(2026, 11, 21), date(2026, 11, 30), 30
CREDIT = Fee("2026-11", "plan_big", "Enterprise", Decimal(990), TAX, *UNUSED, is_credit=True)


def metered(units: int = 150, plan: str = "Pro", period: str = "2026-11", days: int = 30, **tariff: Any) -> PeriodUsage:
    whole = {} if plan == "Free" else TARIFF | tariff
    return PeriodUsage(period, f"plan_{plan.lower()}", plan, whole, units, days, 30)


def inputs(*fees: Fee, usage: Sequence[PeriodUsage] = (), late: Sequence[LateUsage] = ()) -> InvoiceInputs:
    return InvoiceInputs("2026-11", "Europe/Berlin", "EUR", [*fees], [*usage] or [metered()], [*late])


def told(one: InvoiceInputs) -> list[tuple[str, str, str, Decimal | None, Decimal]]:
    return [(b.line.kind, b.line.description, b.period, b.line.quantity, b.line.amount) for b in build_lines(one)]


def test_fees_usage_and_what_came_late() -> None:
    late = LateUsage(metered(130, period="2026-10"), billed=90)
    assert told(inputs(CREDIT, PRO, late=[late])) == [
        ("fee", "Unused time on Enterprise, 21 to 30 November 2026", "2026-11", None, Decimal("-330.00")),
        ("fee", "Pro, 1 to 31 December 2026", "2026-12", None, Decimal("49.00")),
        ("usage", "Usage in November 2026", "2026-11", Decimal(150), Decimal("2.50")),
        ("adjustment", "Usage in October 2026 that came after its invoice", "2026-10", Decimal(40), Decimal("1.50")),
    ]


def test_late_usage_can_be_given_back_but_not_below_nothing() -> None:
    (_, line) = build_lines(inputs(late=[LateUsage(metered(120), billed=140)]))
    assert (line.line.quantity, line.line.amount) == (Decimal(-20), Decimal("-1.00"))
    (_, line) = build_lines(inputs(late=[LateUsage(metered(-5), billed=120)]))
    assert (line.line.quantity, line.line.amount) == (Decimal(-125), Decimal("-1.00"))


def test_a_plan_without_charges_still_says_what_was_used() -> None:
    (line,) = build_lines(inputs(usage=[metered(7_000, "Free")]))
    assert (line.line.kind, line.line.quantity, line.line.amount) == (LineKind.USAGE, Decimal(7_000), Decimal(0))
    assert sum(part.quantity for part in line.line.parts) == 7_000


def test_each_plan_of_a_month_prices_its_own_units_and_has_its_part_of_tiers() -> None:
    ten_days = metered(50, days=10)
    assert told(inputs(usage=[ten_days, metered(900, "Free", days=20)])) == [
        ("usage", "Usage in November 2026 on Pro, 10 of 30 days", "2026-11", Decimal(50), Decimal("0.80")),
        ("usage", "Usage in November 2026 on Free, 20 of 30 days", "2026-11", Decimal(900), Decimal("0.00")),
    ], "a third of 100 units is included, rounded up: 34"


def test_free_units_are_in_part_too() -> None:
    charge = {"code": "units", "model": "per_unit", "unit": "1", "free_units": "10"}
    (line,) = build_lines(inputs(usage=[metered(12, days=10, charges=[charge])]))
    assert line.line.amount == Decimal("8.00")


def test_several_charges_are_told_apart_and_bill_the_same_units() -> None:
    two = [{"code": "calls", "model": "per_unit", "unit": "1"}, {"code": "traffic", "model": "per_unit", "unit": "2"}]
    assert [(words, units, amount) for _, words, _, units, amount in told(inputs(usage=[metered(3, charges=two)]))] == [
        ("Usage in November 2026: calls, by the unit", Decimal(3), Decimal("3.00")),
        ("Usage in November 2026: traffic, by the unit", Decimal(3), Decimal("6.00")),
    ]


def test_flat_charges_alone_leave_a_line_for_the_units() -> None:
    flat = [{"code": "platform", "model": "flat", "price": "30"}]
    assert [line[:2] + line[3:] for line in told(inputs(usage=[metered(3, days=10, charges=flat)]))] == [
        ("usage", "Usage in November 2026", Decimal(3), Decimal("0.00")),
        ("fee", "platform in November 2026", None, Decimal("10.00")),
    ]


def test_a_single_day_is_named_alone_and_a_minimum_by_its_month() -> None:
    days = date(2026, 11, 30), date(2026, 11, 30)
    one_day = Fee("2026-11", "plan_pro", "Pro", Decimal(30), None, *days, 30, is_credit=False)
    minimum = metered(65, days=10, minimum="9")
    assert [(kind, words, amount) for kind, words, _, _, amount in told(inputs(one_day, usage=[minimum]))] == [
        ("fee", "Pro, 30 November 2026", Decimal("1.00")),
        ("usage", "Usage in November 2026", Decimal("1.55")),
        ("minimum", "Minimum of November 2026", Decimal("1.45")),
    ]


def test_each_line_has_the_tax_of_its_own_plan() -> None:
    """What was charged with tax is given back with it, whatever the plan is now."""
    mixed = inputs(CREDIT, PRO, usage=[metered(tax_percent="10")])
    sums = totals(mixed.currency, build_lines(mixed))
    assert (sums.subtotal, sums.tax, sums.total) == (Decimal("-278.50"), Decimal("-62.45"), Decimal("-340.95"))
    untaxed = inputs(usage=[metered(0)])
    assert str(totals(untaxed.currency, build_lines(untaxed)).tax) == "0.00"


def test_a_tariff_in_another_currency_is_refused() -> None:
    with pytest.raises(Invalid, match="in JPY"):
        build_lines(inputs(usage=[metered(currency="JPY")]))


def test_inputs_survive_json_with_the_same_digest_and_lines() -> None:
    whole = inputs(CREDIT, PRO, late=[LateUsage(metered(130), billed=90)])
    again = inputs_from(json.loads(json.dumps(whole.to_json())))
    assert again == whole
    assert again.digest == whole.digest
    assert build_lines(again) == build_lines(whole)
    assert inputs(PRO).digest != whole.digest


def test_what_has_neither_fees_nor_units_nor_charges_is_worth_no_invoice() -> None:
    def is_worth(*fees: Fee, usage: PeriodUsage, late: Sequence[LateUsage] = ()) -> bool:
        one = inputs(*fees, usage=[usage], late=late)
        return is_worth_an_invoice(one, build_lines(one))

    assert not is_worth(usage=metered(0, "Free"))
    assert is_worth(PRO, usage=metered(0, "Free"))
    assert is_worth(usage=metered(1, "Free"))
    assert is_worth(usage=metered(0, minimum="9"))
    assert is_worth(usage=metered(0, "Free"), late=[LateUsage(metered(5, "Free"), 0)])
