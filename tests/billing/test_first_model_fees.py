"""Which days are charged and given back: by example, and that what is invoiced becomes what is owed."""

from datetime import date, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from portal.billing.first_model.fees import (
    BillingDays,
    Fee,
    PlanChange,
    PlanOnDay,
    chargeable_days,
    charged_days,
    days_of,
    fees_due,
    plan_on,
    plans_by_day,
)
from portal.plans import month_period

FREE = PlanOnDay("plan_free", "Free", Decimal(0))
PRO = PlanOnDay("plan_pro", "Pro", Decimal(49))
BIG = PlanOnDay("plan_big", "Enterprise", Decimal(990))
NOVEMBER = BillingDays("2026-11", date(2026, 11, 1), date(2026, 11, 30))


def fee(plan: PlanOnDay, first: int, last: int, *, is_credit: bool = False) -> Fee:
    days = date(2026, 11, first), date(2026, 11, last)
    return Fee(
        "2026-11",
        plan.plan_id,
        plan.name,
        plan.price,
        plan.tax_percent,
        first=days[0],
        last=days[1],
        of_days=30,
        is_credit=is_credit,
    )


def owing(*changes: PlanChange) -> dict[date, PlanOnDay]:
    return chargeable_days(plans_by_day(changes, NOVEMBER))


def on(day: int, plan: PlanOnDay) -> PlanChange:
    return PlanChange(date(2026, 11, day), plan)


def test_a_month_of_one_plan_is_one_fee() -> None:
    assert fees_due(owing(on(1, PRO)), {}, NOVEMBER) == [fee(PRO, 1, 30)]


def test_what_is_free_or_before_the_first_plan_costs_nothing() -> None:
    assert owing(on(1, FREE)) == {}
    assert fees_due(owing(on(12, PRO)), {}, NOVEMBER) == [fee(PRO, 12, 30)]
    assert plan_on([on(12, PRO)], date(2026, 11, 11)) is None


def test_a_change_gives_the_rest_back_and_charges_the_new_plan() -> None:
    charged = charged_days([fee(PRO, 1, 30)], NOVEMBER)
    assert fees_due(owing(on(1, PRO), on(15, BIG)), charged, NOVEMBER) == [
        fee(PRO, 15, 30, is_credit=True),
        fee(BIG, 15, 30),
    ]
    assert fees_due(owing(on(1, PRO), on(15, FREE)), charged, NOVEMBER) == [fee(PRO, 16, 30, is_credit=True)], (
        "the day of the change was Pro's, too"
    )


def test_a_day_belongs_to_the_dearest_plan_within_it() -> None:
    assert plan_on([on(1, FREE), on(9, BIG), on(9, PRO)], date(2026, 11, 9)) == BIG
    assert plan_on([on(1, BIG), on(9, FREE)], date(2026, 11, 9)) == BIG
    assert plan_on([on(1, BIG), on(9, FREE)], date(2026, 11, 10)) == FREE
    there_and_back = [change for day in range(1, 31) for change in (on(day, BIG), on(day, FREE))]
    assert fees_due(owing(*there_and_back), {}, NOVEMBER) == [fee(BIG, 1, 30)]


def test_of_two_plans_at_one_price_the_one_whose_usage_costs_has_the_day_else_the_later() -> None:
    metered = FREE._replace(plan_id="plan_metered", is_metered=True)
    assert plan_on([on(1, metered), on(9, FREE)], date(2026, 11, 9)) == metered
    other = FREE._replace(plan_id="plan_other")
    assert plan_on([on(1, FREE), on(9, other)], date(2026, 11, 9)) == other


def test_there_and_back_again_charges_two_stretches() -> None:
    changes = [on(1, PRO), on(9, FREE), on(20, PRO)]
    assert fees_due(owing(*changes), {}, NOVEMBER) == [fee(PRO, 1, 9), fee(PRO, 20, 30)]


def test_what_was_charged_at_another_price_stays() -> None:
    charged = charged_days([fee(PRO, 1, 30)], NOVEMBER)
    dearer = PRO._replace(price=Decimal(59))
    assert fees_due(owing(on(1, dearer)), charged, NOVEMBER) == []


def test_days_are_those_of_the_zone() -> None:
    october = month_period("2026-10", "Europe/Berlin")
    assert days_of(october) == BillingDays("2026-10", date(2026, 10, 1), date(2026, 10, 31))
    assert days_of(october).count == 31
    assert days_of(month_period("2028-02", "Asia/Kolkata")).count == 29


CHANGES = st.lists(
    st.builds(lambda day, rate: on(1, rate)._replace(day=date(2026, 10, 25) + timedelta(days=day)),
              st.integers(0, 45), st.sampled_from([FREE, PRO, BIG])),
    max_size=6,
).map(lambda changes: sorted(changes, key=lambda change: change.day))  # fmt: skip


@given(st.lists(CHANGES, min_size=1, max_size=4))
def test_each_invoice_makes_what_is_charged_into_what_is_owed(pasts: list[list[PlanChange]]) -> None:
    """However the known past changed between two invoices."""
    fees: list[Fee] = []
    for changes in pasts:
        due = chargeable_days(plans_by_day(changes, NOVEMBER))
        fees += fees_due(due, charged_days(fees, NOVEMBER), NOVEMBER)
        assert charged_days(fees, NOVEMBER) == due
        assert fees_due(due, charged_days(fees, NOVEMBER), NOVEMBER) == []
    for charged in fees:
        assert charged.days == len([*BillingDays("", charged.first, charged.last).each()])
