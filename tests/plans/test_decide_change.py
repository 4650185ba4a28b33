"""What a choice of a plan would be: each way it can end, and what it leaves of what was chosen before."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from portal.core.errors import Conflict
from portal.plans import (
    ChangeKind,
    PlanChange,
    PlanTerms,
    Situation,
    change_fees,
    decide_choice,
    decide_move,
    decide_undo,
    decide_withdrawal,
    history_of,
    next_period,
    quota_bound,
)
from tests.plans.plan_model import ENTERPRISE, FREE, NOVEMBER, PRO, Account, amounts, at, plan

NEW_PRO = replace(PRO, version=2)


def test_a_higher_rank_is_an_upgrade_at_once_and_a_lower_one_waits() -> None:
    up = decide_choice(Account(PRO).situation(at(5), used=7), ENTERPRISE)
    assert up is not None
    assert (up.kind, up.takes_effect_at, up.used_before) == (ChangeKind.UPGRADE, at(5), 7)
    down = decide_choice(Account(PRO).situation(at(5)), FREE)
    assert down is not None
    assert (down.kind, down.takes_effect_at) == (ChangeKind.DOWNGRADE, NOVEMBER.end)


@pytest.mark.parametrize("target", [FREE, NEW_PRO])
def test_what_waits_is_replaced_withdrawn_or_dropped(target: PlanTerms) -> None:
    account = Account(PRO).choose(target, at(2))
    assert account.history.next_terms == target
    assert decide_choice(account.situation(at(3)), target) is None
    other = FREE if target is NEW_PRO else NEW_PRO
    replaced = Account(PRO).choose(target, at(2)).choose(other, at(3))
    assert replaced.history.next_terms == other
    withdrawn = Account(PRO).choose(target, at(2)).choose(PRO, at(3))
    assert (withdrawn.history.changes[-1].kind, withdrawn.history.next_terms) == (ChangeKind.WITHDRAWAL, PRO)
    dropped = account.choose(ENTERPRISE, at(4))
    assert (dropped.history.state.pending, dropped.history.next_terms) == (None, ENTERPRISE)


def test_choosing_what_one_has_changes_nothing() -> None:
    situation = Account(PRO).situation(at(5))
    assert decide_choice(situation, PRO) is None
    assert decide_withdrawal(situation) is None
    assert decide_move(situation, PRO) is None


def test_an_undo_restores_version_bound_and_what_waited() -> None:
    small, large = plan("small", 2, 30, quota=10_000_000), plan("large", 3, 40, quota=50)
    account = Account(FREE).choose(small, at(10), used=9_000).choose(replace(small, version=2), at(11))
    before = account.history
    account.choose(large, at(12), used=9_000).choose(small, at(12, 13)).undo(at(12, 14), used=9_500)
    assert account.history.state.holdings == before.state.holdings
    assert account.history.state.pending == before.state.pending
    assert quota_bound(account.history) == quota_bound(before) == 7_000_000 + 9_000


@pytest.mark.parametrize(
    "prepare",
    [
        lambda account: account,
        lambda account: account.choose(ENTERPRISE, at(4)),
        lambda account: account.choose(ENTERPRISE, at(5, 1)).undo(at(5, 2)),
        lambda account: account.choose(ENTERPRISE, at(5, 1)).move(PRO, at(5, 2), ChangeKind.MOVE_DOWN),
        lambda account: account.choose(ENTERPRISE, at(5, 1)).move(replace(ENTERPRISE, version=2), at(5, 2), "move_up"),
        lambda account: account.choose(FREE, at(5, 1)),
    ],
)
def test_without_an_upgrade_of_today_there_is_nothing_to_undo(prepare: Callable[[Account], Account]) -> None:
    account = prepare(Account(PRO))
    with pytest.raises(Conflict, match="no upgrade of today"):
        decide_undo(account.situation(at(5)))


def test_an_opening_is_not_undone() -> None:
    with pytest.raises(Conflict, match="no upgrade of today"):
        decide_undo(Account(None).open(PRO, at(5, 8)).situation(at(5)))
    account = Account(None).open(PRO, at(5, 8)).choose(ENTERPRISE, at(5, 9)).undo(at(5, 10))
    assert account.history.state.terms == PRO
    assert amounts(change_fees(account.history)) == ["42.47"]


@pytest.mark.parametrize(("used", "is_undone"), [(10_000, True), (10_001, False)])
def test_an_undo_has_to_fit_the_bound_of_before(used: int, *, is_undone: bool) -> None:
    account = Account(FREE).choose(ENTERPRISE, at(5))
    decided = decide_undo(account.situation(at(5, 23), used=used))
    assert decided.is_downgrade is not is_undone
    assert decided.change is not None
    assert (decided.change.kind is ChangeKind.UNDO) is is_undone


def test_with_overage_before_an_undo_always_fits() -> None:
    account = Account(PRO).choose(ENTERPRISE, at(5))
    assert not decide_undo(account.situation(at(5, 23), used=10**12)).is_downgrade


def test_an_undo_that_is_pending_as_a_downgrade_already_changes_nothing() -> None:
    account = Account(FREE).choose(ENTERPRISE, at(5)).undo(at(5, 13), used=20_000)
    assert decide_undo(account.situation(at(5, 14), used=20_000)).change is None


def test_an_undo_is_for_the_local_day() -> None:
    account = Account(PRO).choose(ENTERPRISE, at(5, 23, 59))
    with pytest.raises(Conflict):
        decide_undo(account.situation(NOVEMBER.start_of(5)))


def test_a_plan_that_takes_no_new_accounts_binds_neither_version_nor_withdrawal() -> None:
    account = Account(PRO).choose(FREE, at(2))
    for target in (ENTERPRISE, plan("Other", 0, 1)):
        with pytest.raises(Conflict, match="takes no new accounts"):
            decide_choice(account.situation(at(3)), target, is_offered=False)
    assert decide_choice(account.situation(at(3)), FREE, is_offered=False) is None
    for target, kind in ((PRO, ChangeKind.WITHDRAWAL), (NEW_PRO, ChangeKind.DOWNGRADE)):
        change = decide_choice(account.situation(at(3)), target, is_offered=False)
        assert change is not None
        assert change.kind is kind


@pytest.mark.parametrize("decide", [decide_choice, decide_move])
def test_another_currency_is_refused_once_the_account_has_one(decide: Callable[..., object]) -> None:
    dollars = plan("dollars", 5, 5, currency="USD")
    with pytest.raises(Conflict, match="priced in USD, and this account is billed in EUR"):
        decide(Account(PRO).situation(at(3)), dollars)
    with pytest.raises(Conflict, match="priced in USD, and this account is billed in EUR"):
        decide(Situation(Account(FREE).history, at(3), 0, 0, "EUR"), dollars)
    assert decide(Situation(Account(FREE).history, at(3), 0, 0), dollars) is not None


def test_the_currency_is_taken_when_a_plan_takes_effect_and_an_undo_gives_it_back() -> None:
    dollars, metered = plan("dollars", 5, 5, currency="USD"), plan("metered", 0, 0, currency="USD", tariff=PRO.tariff)
    account = Account(FREE)
    assert account.history.state.currency is None
    account.choose(dollars, at(3, 8))
    assert account.history.state.currency == "USD"
    account.undo(at(3, 9))
    assert account.history.state.currency is None
    account.choose(metered, at(4))
    assert account.history.state.currency is None
    december = next_period(NOVEMBER, "UTC")
    changes = [*Account(None).open(FREE, at(1)).history.changes, *account.history.changes]
    began = history_of(december, changes)
    assert (began.start_terms, began.start_currency, began.state.currency) == (metered, None, "USD")
    free = PlanChange(at(2, period=december), ChangeKind.DOWNGRADE, FREE, 0, december.end)
    january = history_of(next_period(december, "UTC"), [*changes, free])
    assert (january.start_terms, january.state.currency) == (FREE, "USD")


@pytest.mark.parametrize("decide", [decide_choice, decide_move])
@pytest.mark.parametrize(("used_today", "is_refused"), [(400_000, False), (400_001, True)])
def test_from_overage_a_hard_quota_has_to_bring_what_was_used_today(
    decide: Callable[..., object], used_today: int, *, is_refused: bool
) -> None:
    hard = plan("hard", 9, 60, quota=12_000_000)
    situation = Account(PRO).situation(at(30), used=900_000_000, used_today=used_today)
    if is_refused:
        with pytest.raises(Conflict, match="400,001 units are more than the 400,000"):
            decide(situation, hard)
    else:
        assert decide(situation, hard) is not None
    assert (
        decide(Account(FREE).situation(at(30), used=9_000, used_today=9_000), plan("tiny", 9, 60, quota=3)) is not None
    )


def test_staff_move_down_gives_back_only_what_is_not_invoiced() -> None:
    with pytest.raises(Conflict, match="no credit notes"):
        decide_move(Account(PRO).situation(at(5)), FREE)
    assert decide_move(Account(PRO).situation(at(5)), FREE, has_credit_notes=True) is not None
    account = Account(PRO).choose(ENTERPRISE, at(20))
    change = decide_move(account.situation(at(25)), plan("cheap", 1, 49, quota=5))
    assert change is not None
    history = account.history.with_change(change)
    assert amounts(change_fees(history)) == ["345.03", "-188.20"]  # 941 x 6/30
    assert quota_bound(history) == 1


def test_another_version_of_a_plan_begins_with_the_next_period_for_staff_too() -> None:
    with pytest.raises(Conflict, match="begins with the next period"):
        decide_move(Account(PRO).situation(at(5)), NEW_PRO)


def test_a_plan_that_came_back_on_its_day_has_all_days_and_is_whole() -> None:
    fee, between = plan("fee", 1, 3, quota=10_000), plan("between", 2, 9, quota=20_000)
    account = Account(fee).choose(between, at(30, 8), used=20).move(fee, at(30, 9), ChangeKind.MOVE_DOWN, used=20)
    assert quota_bound(account.history) == 10_000
    opened = Account(None).open(fee, at(29)).choose(between, at(30, 8)).move(fee, at(30, 9), ChangeKind.MOVE_DOWN)
    assert quota_bound(opened.history) == 334  # it has 2 of 30 days, one of them left


def test_staff_may_move_to_what_is_lower_and_dearer() -> None:
    account = Account(plan("high", 3, 10))
    change = decide_move(account.situation(at(16)), plan("low", 2, 40))
    assert change is not None
    assert change.kind is ChangeKind.MOVE_DOWN
    assert amounts(change_fees(account.history.with_change(change))) == ["0.00"]


def test_staff_move_up_drops_what_waits_and_costs_like_an_upgrade() -> None:
    account = Account(PRO).choose(FREE, at(3))
    change = decide_move(account.situation(at(20)), ENTERPRISE)
    assert change is not None
    history = account.history.with_change(change)
    assert (change.kind, history.next_terms) == (ChangeKind.MOVE_UP, ENTERPRISE)
    assert amounts(change_fees(history)) == ["345.03"]


@pytest.mark.parametrize(
    ("first", "second", "used", "bound"),
    [
        (plan("a", 1, 30, quota=1_000_000), plan("b", 2, 40, quota=10_000), 0, 1_000_000),
        (plan("a", 1, 0, quota=1_000_000), plan("b", 2, 0, quota=10_000), 0, 1_000_000),
        (plan("a", 1, 30, quota=1_000_000), plan("b", 2, 0, quota=10_000), 500, 1_000_000),
        (plan("a", 1, 30, quota=1_000_000), plan("b", 2, 0, quota=5_000_000), 500, 5_000_000),
        (plan("a", 1, 30), plan("b", 2, 40, quota=10_000), 70, 5_070),
        (plan("a", 1, 30), plan("b", 2, 0, quota=10_000), 70, 10_000),
        (plan("a", 1, 0, quota=10_000), plan("b", 2, 40, quota=20_000), 20_000, 20_000),
        (plan("a", 1, 10, quota=10_000), plan("b", 2, 40, quota=20_000), 20_000, 15_000),
        (plan("a", 1, 10, quota=10_000), plan("b", 2, 40), 20_000, None),
    ],
)
def test_the_bound_of_an_upgrade_in_the_middle_of_a_month(
    first: PlanTerms, second: PlanTerms, used: int, bound: int | None
) -> None:
    assert quota_bound(Account(first).choose(second, at(16), used=used).history) == bound


def test_a_plan_that_is_bought_on_the_first_day_is_whole() -> None:
    account = Account(FREE).choose(plan("b", 2, 40, quota=20_000), at(1), used=9_000)
    assert quota_bound(account.history) == 20_000


def test_a_plan_that_was_held_twice_brings_its_days_once_and_a_free_one_its_quota_once() -> None:
    free, fee, last = plan("free", 1, 0, quota=10), plan("fee", 2, 3, quota=7), plan("last", 3, 9, quota=30)
    account = Account(fee)
    for day, target, kind in (
        (2, free, "move_down"),
        (3, fee, "move_up"),
        (4, free, "move_down"),
        (5, last, "move_up"),
    ):
        account.move(target, at(day), ChangeKind(kind), used=1_000)
    assert quota_bound(account.history) == 26 + 10 + 1  # 2 of 30 days of 7: one unit, not two


def test_a_choice_is_decided_by_the_history_of_its_own_period() -> None:
    for instant in (NOVEMBER.end, NOVEMBER.start - timedelta(microseconds=1)):
        with pytest.raises(ValueError, match="is not in the period 2026-11"):
            Account(PRO).situation(instant)


def test_an_undo_of_nothing_is_no_history() -> None:
    undo = PlanChange(at(3), ChangeKind.UNDO, FREE, 0, at(3))
    with pytest.raises(ValueError, match="there is nothing to undo at 2026-11-03"):
        _ = Account(PRO).history.with_change(undo).state


def test_what_waits_begins_its_period_whatever_is_chosen_in_it() -> None:
    december = next_period(NOVEMBER, "UTC")
    account = Account(None).open(ENTERPRISE, at(1)).choose(FREE, at(3))
    following = Account(FREE, december).choose(PRO, at(5, period=december))
    changes = [*account.history.changes, *following.history.changes]
    assert history_of(december, changes).start_terms == FREE
    assert history_of(next_period(december, "UTC"), changes).start_terms == PRO
    assert history_of(NOVEMBER, changes) == account.history
