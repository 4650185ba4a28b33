"""The worked figures of the plan model, from a history of choices to the lines of invoices."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from portal.billing.inputs import build_lines
from portal.billing.rate import LineKind
from portal.billing.second_model import carried_over
from portal.plans import ChangeKind, PeriodHistory, PlanTerms, month_period, next_period
from tests.billing.second_model import amounts_of, inputs_of, later, told, usage_of
from tests.plans.plan_model import ENTERPRISE, FREE, NOVEMBER, PRO, Account, at, plan

FEES, ADJUSTMENTS = LineKind.FEE, LineKind.ADJUSTMENT
MILLION = 1_000_000
DECEMBER = next_period(NOVEMBER, "UTC")


def tariff(*charges: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"currency": "EUR", "charges": [{"code": "units", **charge} for charge in charges], **fields}


def by_unit(price: str) -> dict[str, str]:
    return {"model": "per_unit", "unit": price}


@pytest.mark.parametrize(("days", "usage"), [(30, "940.00"), (10, "966.67"), (1, "978.67")])
def test_twenty_millions_on_pro_cost_more_the_fewer_days_were_paid(days: int, usage: str) -> None:
    account = Account(None).open(PRO, at(31 - days))
    assert usage_of(inputs_of(account, 20 * MILLION)) == [usage]


def test_an_upgrade_is_one_line_and_each_stretch_prices_its_own_units() -> None:
    account = Account(PRO).choose(ENTERPRISE, at(20))
    assert told(build_lines(inputs_of(account, 3 * MILLION, 25 * MILLION))) == [
        ("fee", "Upgrade to Enterprise, 20 to 30 November 2026: (990.00 - 49.00) × 11/30", "2026-11", "345.03"),
        ("usage", "Usage on Pro, 1 to 19 November 2026, 19 of 30 days, 633,334 included", "2026-11", "142.00"),
        (
            "usage",
            "Usage on Enterprise, 20 to 30 November 2026, 11 of 30 days, 18,333,334 included",
            "2026-11",
            "120.00",
        ),
        ("fee", "Enterprise, 1 to 31 December 2026", "2026-12", "990.00"),
    ]


def test_there_and_back_on_one_day_costs_nothing() -> None:
    account = Account(PRO).choose(ENTERPRISE, at(3)).undo(at(3, 13))
    assert told(build_lines(inputs_of(account))) == [
        ("usage", "Usage in November 2026", "2026-11", "0.00"),
        ("fee", "Pro, 1 to 31 December 2026", "2026-12", "49.00"),
    ]


def test_two_millions_on_a_last_day_of_enterprise() -> None:
    account = Account(FREE).choose(ENTERPRISE, at(30))
    inputs = inputs_of(account, 0, 2 * MILLION)
    assert (amounts_of(inputs, FEES), usage_of(inputs)) == (["33.00", "990.00"], ["0.00", "6.00"])
    account.choose(FREE, at(30, 23, 59), used=2 * MILLION)
    assert amounts_of(inputs_of(account, 0, 2 * MILLION), FEES) == ["33.00"]


def test_twenty_millions_of_a_day_are_not_undone() -> None:
    account = Account(FREE).choose(ENTERPRISE, at(30, 0, 1)).undo(at(30, 23, 59), used=20 * MILLION)
    inputs = inputs_of(account, 0, 20 * MILLION)
    assert (amounts_of(inputs, FEES), usage_of(inputs)) == (["33.00"], ["0.00", "330.00"])


def test_a_fee_of_one_day() -> None:
    ten_millions = plan("ten", 2, 30, quota=10 * MILLION)
    account = Account(FREE).choose(ten_millions, at(30), used=4_000)
    assert amounts_of(inputs_of(account), FEES) == ["1.00", "30.00"]


def test_a_downgrade_gives_nothing_back_and_ends_the_fees() -> None:
    march = month_period("2026-03", "UTC")
    account = Account(PRO, march).choose(FREE, at(1, period=march))
    assert amounts_of(inputs_of(account), FEES) == []
    assert amounts_of(inputs_of(PeriodHistory(next_period(march, "UTC"), FREE)), FEES) == []


def test_late_usage_is_priced_by_the_plan_of_its_own_day() -> None:
    moved = inputs_of(Account(FREE).choose(PRO, at(20)), 0, 0)
    late = inputs_of(PeriodHistory(DECEMBER, PRO), late=[later(moved.usage[0], 5 * MILLION)])
    assert amounts_of(late, ADJUSTMENTS) == ["0.00"], "Free's"
    back = Account(FREE).choose(ENTERPRISE, at(26)).move(FREE, at(27), ChangeKind.MOVE_DOWN)
    used = inputs_of(back, 0, 2 * MILLION)
    assert [stretch.plan for stretch in used.usage] == ["Free", "Enterprise"]
    late = inputs_of(PeriodHistory(DECEMBER, FREE), late=[later(used.usage[1], 7 * MILLION)])
    assert told(build_lines(late))[1] == (
        *("adjustment", "Usage on Enterprise in November 2026 that came after its invoice", "2026-11", "90.00"),
    )
    old = inputs_of(PeriodHistory(DECEMBER, FREE), late=[later(used.usage[1], 7 * MILLION, model=1)])
    assert amounts_of(old, ADJUSTMENTS) == ["90.00"], "an invoice of the first model"


@pytest.mark.parametrize(
    ("charge", "units", "usage"),
    [
        ({"model": "volume", "tiers": [{"up_to": MILLION, "unit": "0.001"}, {"unit": "0.0005"}]}, 900_000, "900.00"),
        (
            {
                "model": "graduated",
                "tiers": [{"up_to": 10, "unit": 1}, {"up_to": 20, "unit": 1, "flat": 100}, {"unit": 1, "flat": 500}],
            },
            5,
            "5.00",
        ),
    ],
)
def test_tiers_are_never_divided(charge: dict[str, Any], units: int, usage: str) -> None:
    account = Account(FREE).choose(plan("tiers", 2, 0, tariff=tariff(charge)), at(30))
    assert usage_of(inputs_of(account, 0, units)) == ["0.00", usage]


def test_an_account_that_opens_on_pro_pays_by_days_and_a_month_ahead() -> None:
    account = Account(None).open(PRO, at(20, 17))
    assert told(build_lines(inputs_of(account, 400_000))) == [
        ("fee", "Pro, 20 to 30 November 2026: 49.00 × 11/30", "2026-11", "17.97"),
        ("usage", "Usage on Pro, 20 to 30 November 2026, 11 of 30 days, 366,667 included", "2026-11", "2.00"),
        ("fee", "Pro, 1 to 31 December 2026", "2026-12", "49.00"),
    ]


def test_each_stretch_has_its_first_tiers_flat_fee() -> None:
    flat = tariff({"model": "graduated", "tiers": [{"unit": "0", "flat": "20.00"}]})
    a, b, c = [plan(name, rank, 0, tariff=flat) for rank, name in enumerate("ABC", start=1)]
    account = Account(a).choose(b, at(10)).choose(c, at(20))
    assert [stretch.days for stretch in inputs_of(account).usage] == [9, 10, 11]
    assert usage_of(inputs_of(account)) == ["20.00", "20.00", "20.00"]


def test_what_was_charged_for_a_day_is_charged_once() -> None:
    a, b, c = plan("A", 1, 100), plan("B", 2, 10), plan("C", 3, 100)
    account = Account(None).open(a, at(1, 8)).choose(b, at(1, 9)).choose(c, at(1, 10))
    assert amounts_of(inputs_of(account), FEES) == ["100.00", "0.00", "0.00", "100.00"]


def test_twenty_small_upgrades_add_up_to_the_exact_sum() -> None:
    account = Account(plan("0", 1, 10))
    for number in range(1, 21):
        account.choose(plan(str(number), number + 1, str(10 + number * Decimal("0.04"))), at(30, 1, number))
    *changes, _ = amounts_of(inputs_of(account), FEES)
    assert (len(changes), sum(map(Decimal, changes))) == (20, Decimal("0.03"))


def test_a_negative_adjustment_stops_the_invoice_at_0_and_is_carried_over() -> None:
    volume = {"model": "volume", "tiers": [{"up_to": 100, "unit": 2, "flat": 10}, {"unit": 1}]}
    steps = plan("steps", 1, 0, tariff=tariff(volume))
    first = inputs_of(PeriodHistory(NOVEMBER, steps), 100)
    assert usage_of(first) == ["210.00"]
    second = inputs_of(PeriodHistory(DECEMBER, steps), late=[later(first.usage[0], 101)])
    lines = build_lines(second)
    assert told(lines) == [
        ("usage", "Usage in December 2026", "2026-12", "10.00"),
        ("adjustment", "Usage on steps in November 2026 that came after its invoice", "2026-11", "-109.00"),
        ("adjustment", "Carried over to the next invoice", "2026-12", "99.00"),
    ]
    third = inputs_of(PeriodHistory(next_period(DECEMBER, "UTC"), steps), 95, carried=carried_over(lines))
    assert told(build_lines(third)) == [
        ("usage", "Usage in January 2027", "2027-01", "200.00"),
        ("adjustment", "Carried over from December 2026", "2026-12", "-99.00"),
    ]


def test_berlin_to_london_makes_the_first_day_of_december_an_hour_longer() -> None:
    november = month_period("2026-11", "Europe/Berlin")
    december = next_period(november, "Europe/London")
    inputs = inputs_of(PeriodHistory(november, PRO), zone="Europe/London")
    assert told(build_lines(inputs))[-1] == ("fee", "Pro, 1 to 31 December 2026", "2026-12", "49.00")
    assert (december.start, len(december.days)) == (november.end, 31)
    assert december.start_of(1) - december.start == timedelta(hours=25)


def test_from_the_first_zone_of_the_world_to_the_last_there_is_one_fee_and_one_quota() -> None:
    november = month_period("2026-11", "Etc/GMT-14")
    december = next_period(november, "Etc/GMT+12")
    assert amounts_of(inputs_of(PeriodHistory(november, PRO), zone="Etc/GMT+12"), FEES) == ["49.00"]
    inputs = inputs_of(PeriodHistory(december, PRO), 1_500_000)
    assert (december.start_of(1) - december.start, inputs.usage[0].days) == (timedelta(hours=50), 31)
    assert usage_of(inputs) == ["30.00"], "all is included once"


def test_from_the_last_zone_to_the_first_december_has_30_days() -> None:
    november = month_period("2026-11", "Etc/GMT+12")
    inputs = inputs_of(PeriodHistory(november, PRO), zone="Etc/GMT-14")
    assert told(build_lines(inputs))[-1] == ("fee", "Pro, 2 to 31 December 2026", "2026-12", "49.00")
    december = next_period(november, "Etc/GMT-14")
    assert (len(december.days), december.start_of(1) - december.start) == (30, timedelta(hours=22))


def test_a_new_version_holds_with_the_next_period() -> None:
    second = plan("Pro", 2, 59, version=2)
    account = Account(PRO).choose(second, at(3))
    inputs = inputs_of(account)
    assert ([stretch.version for stretch in inputs.usage], amounts_of(inputs, FEES)) == ([1], ["59.00"])


def test_a_maximum_is_never_divided_and_holds_no_fee() -> None:
    capped = plan("capped", 2, 20, tariff=tariff(by_unit("0.00001"), maximum="100.00"))
    inputs = inputs_of(Account(FREE).choose(capped, at(30)), 0, 20 * MILLION)
    assert (amounts_of(inputs, FEES), usage_of(inputs)) == (["0.67", "20.00"], ["0.00", "100.00"])


@pytest.mark.parametrize(("units", "adjustment"), [(4_000, "0.00"), (6_000, "10.00")])
def test_late_usage_within_a_minimum_costs_what_is_beyond_it(units: int, adjustment: str) -> None:
    """`units` are those of the month, the late ones included: 1,000 were invoiced."""
    least = plan("least", 1, 0, tariff=tariff(by_unit("0.01"), minimum="50.00"))
    first = inputs_of(PeriodHistory(NOVEMBER, least), 1_000)
    second = inputs_of(PeriodHistory(DECEMBER, least), late=[later(first.usage[0], units)])
    assert amounts_of(second, ADJUSTMENTS) == [adjustment]


def test_a_downgrade_of_the_grace_hour_belongs_to_the_new_period() -> None:
    november, december = (
        PeriodHistory(NOVEMBER, PRO),
        Account(PRO, DECEMBER).choose(FREE, at(1, 0, 30, period=DECEMBER)),
    )
    assert amounts_of(inputs_of(november), FEES) == ["49.00"]
    assert amounts_of(inputs_of(december), FEES) == []


def test_two_undos_of_a_day_leave_the_upgrade_in_between() -> None:
    a, b, c = plan("A", 1, 1), plan("B", 2, 2), plan("C", 3, 3)
    account = Account(a).choose(b, at(5, 8)).choose(c, at(5, 9)).undo(at(5, 10)).undo(at(5, 11))
    assert amounts_of(inputs_of(account), FEES) == ["0.87", "1.00"], "B from the 5th, then A"


def test_late_usage_of_a_plan_in_another_currency_than_the_present_ones_is_in_its_own() -> None:
    """A plan without a fee or tariff may have any currency: an upgrade that is too late to undo leads back to it."""
    dollars = tariff(by_unit("0.01")) | {"currency": "USD"}
    metered = plan("metered", 2, 0, currency="USD", tariff=dollars)
    free = plan("free", 1, 0, currency="JPY", quota=50)
    account = Account(free).choose(metered, at(3, 8)).undo(at(3, 9), used=100)
    assert account.history.next_terms == free
    first = inputs_of(account, 0, 100)
    second = inputs_of(PeriodHistory(DECEMBER, free), 5, late=[later(first.usage[1], 300)])
    assert (first.currency, second.currency, amounts_of(second, ADJUSTMENTS)) == ("USD", "USD", ["2.00"])
    assert inputs_of(PeriodHistory(DECEMBER, free)).currency == "JPY"


def test_what_staff_give_back_has_the_tax_that_it_was_charged_with() -> None:
    def taxed(name: str, rank: int, price: int, percent: str) -> PlanTerms:
        return plan(name, rank, price, tariff=tariff(by_unit("0"), tax_percent=percent))

    a, b, c = taxed("A", 2, 100, "20"), taxed("B", 3, 10, "0"), taxed("C", 1, 10, "7")
    account = Account(None).open(a, at(1)).choose(b, at(1, 13)).move(c, at(16), ChangeKind.MOVE_DOWN)
    fees = [draft for draft in build_lines(inputs_of(account)) if draft.period == "2026-11" and draft.fee]
    assert [(str(draft.line.amount), draft.tax_percent) for draft in fees] == [
        ("100.00", Decimal(20)),
        ("0.00", Decimal(0)),
        ("-45.00", Decimal(20)),
    ]
