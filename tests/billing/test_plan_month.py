"""What a month costs on each plan: the same as its invoice."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.billing import build_lines, price_plan_month
from portal.plans import PeriodHistory, PlanTerms
from tests.billing.sample import D
from tests.billing.second_model import inputs_of
from tests.plans.plan_model import ENTERPRISE, FREE, NOVEMBER, PRO, STARTER, plan


@pytest.mark.parametrize(
    ("terms", "units", "passing", "denied", "amount"),
    [
        (FREE, 0, 0, 0, "0.00"),
        (FREE, 10_000, 10_000, 0, "0.00"),
        (FREE, 12_000, 10_000, 2_000, "0.00"),
        (PRO, 0, 0, 0, "49.00"),
        (PRO, 1_000_000, 1_000_000, 0, "49.00"),
        (PRO, 1_500_000, 1_500_000, 0, "79.00"),
        (PRO, 12_000_000, 12_000_000, 0, "669.00"),
        (ENTERPRISE, 60_000_000, 60_000_000, 0, "1170.00"),
        (plan("Yen", 9, 500, currency="JPY", quota=5), 7, 5, 2, "500"),
    ],
)
def test_a_month_on_a_plan(terms: PlanTerms, units: int, passing: int, denied: int, amount: str) -> None:
    month = price_plan_month(terms, units)
    assert (month.units, month.denied, str(month.amount)) == (passing, denied, amount)


@given(st.sampled_from(STARTER), st.integers(0, 10**9))
def test_it_costs_what_the_invoice_of_such_a_month_says(terms: PlanTerms, units: int) -> None:
    month = price_plan_month(terms, units)
    lines = build_lines(inputs_of(PeriodHistory(NOVEMBER, terms), month.units))
    assert month.amount == sum((draft.line.amount for draft in lines), Decimal(0)), "the fee is that of the next month"
    assert month.units + month.denied == units
    assert month.amount >= D(0)
