"""The worked figures of plans over time: fees, stretches, shares and bounds. Usage prices are tested in billing."""

from datetime import date, timedelta
from decimal import Decimal

import pytest

from portal.core.errors import Conflict
from portal.plans import (
    ChangeKind,
    change_fees,
    cost_of_change,
    decide_choice,
    decide_undo,
    fee_ahead,
    history_of,
    included,
    month_period,
    next_period,
    quota_bound,
    stretches_of,
)
from tests.plans.plan_model import ENTERPRISE, FREE, NOVEMBER, PRO, Account, amounts, at, plan


def days_by_plan(account: Account) -> dict[str, int]:
    return {stretch.terms.name: len(stretch.days) for stretch in stretches_of(account.history)}


def test_an_upgrade_is_one_line_for_the_days_left_and_prices_them_by_the_new_plan() -> None:
    account = Account(PRO).choose(ENTERPRISE, at(20))
    (fee,) = change_fees(account.history)
    assert (str(fee.amount), fee.charged_price, fee.days, fee.of_days) == ("345.03", Decimal(49), 11, 30)
    assert (fee.first, fee.last) == (date(2026, 11, 20), date(2026, 11, 30))
    assert days_by_plan(account) == {"Pro": 19, "Enterprise": 11}
    assert (included(1_000_000, 19, 30), included(50_000_000, 11, 30)) == (633_334, 18_333_334)


def test_an_upgrade_undone_on_its_day_costs_nothing_and_the_second_undo_is_a_downgrade() -> None:
    account = Account(PRO).choose(ENTERPRISE, at(3)).undo(at(3, 13))
    assert change_fees(account.history) == []
    assert (account.history.state.terms, account.history.state.pending) == (PRO, None)
    account.choose(ENTERPRISE, at(4))
    decided = decide_undo(account.situation(at(4, 13)))
    assert (decided.is_downgrade, decided.is_undo_used) == (True, True)
    account.undo(at(4, 13))
    assert account.history.state.terms == ENTERPRISE
    assert account.history.next_terms == PRO


def test_free_to_enterprise_on_the_last_day_is_a_day_of_it_and_its_fee_ahead_unless_put_down() -> None:
    account = Account(FREE).choose(ENTERPRISE, at(30))
    assert amounts(change_fees(account.history)) == ["33.00"]
    assert str(fee_ahead(account.history.next_terms)) == "990.00"
    assert included(50_000_000, 1, 30) == 1_666_667
    decided = decide_undo(account.situation(at(30, 20), used=2_000_000))
    assert (decided.is_downgrade, decided.is_undo_used) == (True, False)
    account.choose(FREE, at(30, 23, 59), used=2_000_000)
    assert amounts(change_fees(account.history)) == ["33.00"]
    assert str(fee_ahead(account.history.next_terms)) == "0.00"


def test_used_by_twenty_millions_it_is_not_undone_in_the_evening() -> None:
    account = Account(FREE).choose(ENTERPRISE, at(30, 0, 1)).undo(at(30, 23, 59), used=20_000_000)
    assert amounts(change_fees(account.history)) == ["33.00"]
    assert (account.history.state.terms, account.history.next_terms) == (ENTERPRISE, FREE)
    assert days_by_plan(account) == {"Free": 29, "Enterprise": 1}


def test_a_hard_quota_with_a_fee_is_its_share_and_what_was_used_before() -> None:
    ten_millions = plan("ten", 2, 30, quota=10_000_000)
    account = Account(FREE).choose(ten_millions, at(30), used=4_000)
    assert amounts(change_fees(account.history)) == ["1.00"]
    assert quota_bound(account.history) == 333_334 + 4_000


def test_a_quota_that_was_used_up_on_one_day_counts_by_that_day() -> None:
    ten, twelve = plan("ten", 2, 30, quota=10_000_000), plan("twelve", 3, 40, quota=12_000_000)
    account = Account(ten).choose(twelve, at(2), used=10_000_000)
    assert quota_bound(account.history) == 11_600_000 + 333_334 == 11_933_334
    assert amounts(change_fees(account.history)) == ["9.67"]


def test_a_downgrade_holds_from_the_next_period() -> None:
    march = month_period("2026-03", "UTC")
    account = Account(PRO, march).choose(FREE, at(1, period=march))
    assert days_by_plan(account) == {"Pro": 31}
    assert change_fees(account.history) == []
    assert str(fee_ahead(account.history.next_terms)) == "0.00"


def test_a_downgrade_in_the_first_half_hour_of_december_belongs_to_december() -> None:
    december = next_period(NOVEMBER, "UTC")
    account = Account(PRO, december).choose(FREE, at(1, 0, 30, period=december))
    january = next_period(december, "UTC")
    assert account.history.start_terms == PRO
    changes = [*Account(None).open(PRO, at(1)).history.changes, *account.history.changes]
    assert history_of(january, changes).start_terms == FREE


def test_an_opening_is_an_upgrade_from_0_over_the_days_of_the_whole_period() -> None:
    account = Account(None).open(PRO, at(20, 17))
    (fee,) = change_fees(account.history)
    assert (str(fee.amount), fee.charged_price, fee.days, fee.of_days) == ("17.97", Decimal(0), 11, 30)
    assert str(fee_ahead(account.history.next_terms)) == "49.00"
    assert days_by_plan(account) == {"Pro": 11}
    assert included(1_000_000, 11, 30) == 366_667


def test_what_was_charged_for_a_day_is_charged_once() -> None:
    a, b, c = plan("A", 1, 100), plan("B", 2, 10), plan("C", 3, 100)
    account = Account(None).open(a, at(1, 8)).choose(b, at(1, 9)).choose(c, at(1, 10))
    assert amounts(change_fees(account.history)) == ["100.00", "0.00", "0.00"]


def test_twenty_small_upgrades_add_up_to_the_exact_sum() -> None:
    account = Account(plan("0", 1, 10))
    for number in range(1, 21):
        account.choose(plan(str(number), number + 1, str(10 + number * Decimal("0.04"))), at(30, 1, number))
    lines = [fee.amount for fee in change_fees(account.history)]
    assert (len(lines), str(sum(lines))) == (20, "0.03")


def test_a_new_version_begins_with_the_next_period() -> None:
    second = plan("Pro", 2, 59, version=2)
    account = Account(PRO).choose(second, at(3))
    assert (days_by_plan(account), account.history.next_terms) == ({"Pro": 30}, second)
    account.choose(PRO, at(4))
    assert account.history.next_terms == PRO


def test_two_undos_of_one_day_bring_back_one_plan_and_put_down_to_the_other() -> None:
    a, b, c = plan("A", 1, 1), plan("B", 2, 2), plan("C", 3, 3)
    account = Account(a).choose(b, at(5, 8)).choose(c, at(5, 9)).undo(at(5, 10))
    assert account.history.state.terms == b
    account.undo(at(5, 11))
    assert (account.history.state.terms, account.history.next_terms) == (b, a)
    assert amounts(change_fees(account.history)) == ["0.87"]


def test_who_used_a_lot_today_with_overage_gets_a_hard_quota_tomorrow() -> None:
    hard = plan("hard", 3, 60, quota=12_000_000)
    with pytest.raises(Conflict, match="tomorrow"):
        Account(PRO).choose(hard, at(20), used=1_000_000_000, used_today=1_000_000_000)
    account = Account(PRO).choose(hard, at(21), used=1_000_000_000, used_today=4_000_000)
    assert quota_bound(account.history) == 4_000_000 + 1_000_000_000


def test_three_plans_have_9_10_and_11_days_each() -> None:
    a, b, c = plan("A", 1, 0), plan("B", 2, 0), plan("C", 3, 0)
    assert days_by_plan(Account(a).choose(b, at(10)).choose(c, at(20))) == {"A": 9, "B": 10, "C": 11}


def test_a_plan_of_the_last_day_has_one_of_30_days() -> None:
    bought = plan("bought", 2, 20)
    account = Account(FREE).choose(bought, at(30))
    assert amounts(change_fees(account.history)) == ["0.67"]
    assert days_by_plan(account) == {"Free": 29, "bought": 1}


def test_a_month_that_staff_ended_on_free_keeps_the_days_of_enterprise() -> None:
    account = Account(ENTERPRISE).move(FREE, at(16), ChangeKind.MOVE_DOWN)
    assert days_by_plan(account) == {"Enterprise": 15, "Free": 15}
    assert amounts(change_fees(account.history)) == ["-495.00"]
    assert quota_bound(account.history) == 10_000


def test_days_of_a_plan_that_came_back_are_one_stretch_adjacent_or_not() -> None:
    account = Account(PRO).choose(ENTERPRISE, at(10)).move(PRO, at(10, 13), ChangeKind.MOVE_DOWN)
    (whole,) = stretches_of(account.history)
    assert whole.spans == ((NOVEMBER.start, NOVEMBER.end),)
    account.choose(ENTERPRISE, at(20)).move(PRO, at(25), ChangeKind.MOVE_DOWN)
    pro, enterprise = stretches_of(account.history)
    assert (len(pro.days), len(enterprise.days)) == (25, 5)
    first, last = NOVEMBER.start_of(19), NOVEMBER.start_of(24)
    assert pro.spans == ((NOVEMBER.start, first), (last, NOVEMBER.end))
    assert enterprise.spans == ((first, last),)


def test_the_preview_of_a_change_is_what_it_adds() -> None:
    account = Account(PRO)
    up = decide_choice(account.situation(at(20)), ENTERPRISE)
    assert up is not None
    assert str(cost_of_change(account.history, up)) == "345.03"
    account.choose(ENTERPRISE, at(20))
    undo = decide_undo(account.situation(at(20, 13))).change
    assert undo is not None
    assert str(cost_of_change(account.history, undo)) == "-345.03"
    down = decide_choice(account.situation(at(20, 13)), FREE)
    assert down is not None
    assert str(cost_of_change(account.history, down)) == "0.00"


@pytest.mark.parametrize(
    ("days", "of_days", "units"),
    [(12, 31, 387_097), (19, 30, 633_334), (11, 30, 366_667), (30, 30, 1_000_000), (0, 30, 0)],
)
def test_a_share_of_a_million_is_rounded_up(days: int, of_days: int, units: int) -> None:
    assert included(1_000_000, days, of_days) == units


def test_berlin_to_london_begins_where_berlins_november_ends() -> None:
    november = month_period("2026-11", "Europe/Berlin")
    december = next_period(november, "Europe/London")
    whole = month_period("2026-12", "Europe/London")
    assert (december.name, december.start, december.end) == ("2026-12", november.end, whole.end)
    assert len(december.days) == 31
    assert december.start_of(1) - december.start == timedelta(hours=25)


def test_from_14_before_to_12_behind_the_first_day_is_26_hours_longer() -> None:
    december = next_period(month_period("2026-11", "Pacific/Kiritimati"), "Etc/GMT+12")
    assert (december.name, len(december.days), december.days[0]) == ("2026-12", 31, date(2026, 12, 1))
    assert december.start_of(1) - december.start == timedelta(hours=24 + 26)


def test_from_12_behind_to_14_before_december_begins_on_the_second() -> None:
    december = next_period(month_period("2026-11", "Etc/GMT+12"), "Pacific/Kiritimati")
    assert (december.name, len(december.days), december.days[0]) == ("2026-12", 30, date(2026, 12, 2))
    assert december.start_of(1) - december.start == timedelta(hours=22)
