"""What holds for every history of plans: nobody gains by clicking, nobody loses by it, and no day is missing."""

from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from portal.core.errors import Conflict
from portal.plans import (
    ChangeKind,
    PeriodHistory,
    PlanTerms,
    change_fees,
    decide_move,
    fees_so_far,
    history_of,
    month_period,
    next_period,
    quota_bound,
    stretches_of,
)
from portal.plans.fees import charged_price
from tests.plans.plan_model import Account, at, plan

few = settings(max_examples=50)
PERIODS = [
    month_period(name, zone)
    for name, zone in (("2026-11", "UTC"), ("2026-02", "Asia/Kolkata"), ("2026-10", "Europe/Berlin"))
]
prices = st.sampled_from(["0", "0.04", "10", "10.005", "30", "49", "100", "990", "33.333333"])
quotas = st.sampled_from([None, 100, 10_000, 1_000_003])


@dataclass(frozen=True)
class Click:
    """Something that a customer does so many minutes after the click before; `units` were used in between."""

    minutes: int
    plan: int
    is_undo: bool
    units: int


clicks = st.lists(
    st.builds(
        Click,
        minutes=st.sampled_from([1, 1, 60, 600, 1500, 9000]),
        plan=st.integers(0, 4),
        is_undo=st.booleans(),
        units=st.sampled_from([0, 0, 5, 900, 2_000_000]),
    ),
    max_size=12,
)


@st.composite
def catalogues(draw: st.DrawFn, quota: Any = quotas) -> list[PlanTerms]:
    """Draw five plans of rising rank, whose prices and quotas have no order."""
    return [plan(name, rank, draw(prices), quota=draw(quota)) for rank, name in enumerate("ABCDE")]


def live(catalogue: list[PlanTerms], doings: list[Click], *, period: int = 0, is_opened: bool = False) -> list[Account]:
    """Return the account as it was at first and after each click that changed something."""
    month = PERIODS[period]
    now, used, used_today = at(1, 0, 5, period=month), 0, 0
    account = Account(None, month).open(catalogue[0], now) if is_opened else Account(catalogue[0], month)
    states = [account]
    for doing in doings:
        before, now = month.day_number(now), now + timedelta(minutes=doing.minutes)
        if now >= month.end:
            break
        bound = quota_bound(account.history)
        counted = doing.units if bound is None else min(doing.units, max(0, bound - used))
        used, used_today = used + counted, counted + (used_today if month.day_number(now) == before else 0)
        following = Account(None, month)
        following.history = account.history
        try:
            if doing.is_undo:
                following.undo(now, used=used)
            else:
                following.choose(catalogue[doing.plan], now, used=used, used_today=used_today)
        except Conflict:
            continue
        if following.history != account.history:
            account = following
            states.append(account)
    return states


def exact_fees(history: PeriodHistory) -> Fraction:
    days = len(history.period.days)
    return sum(
        (Fraction(max(Decimal(0), fee.price - fee.charged_price)) * fee.days / days for fee in change_fees(history)),
        Fraction(0),
    )


def rounded(amount: Fraction) -> Decimal:
    cents = int(amount * 100 + Fraction(1, 2))  # half up: there are no amounts below 0 here
    return Decimal(cents) / 100


@few
@given(catalogues(), clicks, st.integers(0, 2), st.booleans())
def test_lines_add_up_to_the_exact_sum_rounded(
    catalogue: list[PlanTerms], doings: list[Click], period: int, is_opened: bool
) -> None:
    for account in live(catalogue, doings, period=period, is_opened=is_opened):
        fees = change_fees(account.history)
        assert sum(fee.amount for fee in fees) == rounded(exact_fees(account.history))
        assert all(fee.amount == fee.amount.quantize(Decimal("0.01"), ROUND_HALF_UP) for fee in fees)


@few
@given(catalogues(), clicks, st.integers(0, 2), st.booleans())
def test_no_order_of_changes_within_a_day_costs_more_than_the_days_dearest_plan(
    catalogue: list[PlanTerms], doings: list[Click], period: int, is_opened: bool
) -> None:
    month = PERIODS[period]
    states = live(catalogue, doings, period=period, is_opened=is_opened)
    whole = rounded(Fraction(max(item.price for item in catalogue)))
    ahead = charged_price(states[0].history) if not is_opened else Decimal(0)
    assert fees_so_far(states[-1].history) <= max(Decimal(0), whole - ahead.quantize(Decimal("0.01")) + Decimal("0.01"))
    for number in range(len(month.days)):
        start, end = month.start_of(number), month.start_of(number + 1)
        morning = states[-1].history.until(start)
        evening = states[-1].history.until(end)
        within = [change for change in evening.changes if change.at >= start]
        if not within:
            continue
        before = charged_price(morning)
        dearest = max([before, *(change.terms.price for change in within if change.takes_effect_at == change.at)])
        left = len(month.days) - number
        most = exact_fees(morning) + Fraction(dearest - before) * left / len(month.days)
        assert fees_so_far(morning) <= fees_so_far(evening) <= rounded(most)


@few
@given(catalogues(), clicks, st.integers(1, 4))
def test_an_undo_on_the_same_day_leaves_everything_as_it_was(
    catalogue: list[PlanTerms], doings: list[Click], target: int
) -> None:
    before = live(catalogue, doings)[-1]
    state, now = before.history.state, before.history.period.end - timedelta(hours=2)
    if state.is_undo_used or catalogue[target].rank <= state.terms.rank:
        return
    account = Account(None)
    account.history = before.history
    account.choose(catalogue[target], now).undo(now + timedelta(minutes=1))
    after = account.history
    assert after.state.holdings == state.holdings
    assert after.state.pending == state.pending
    assert stretches_of(after) == stretches_of(before.history)
    assert change_fees(after) == change_fees(before.history)
    assert quota_bound(after) == quota_bound(before.history)


@few
@given(catalogues(), clicks, st.integers(0, 2), st.booleans())
def test_stretches_are_all_days_once_and_their_spans_the_whole_time(
    catalogue: list[PlanTerms], doings: list[Click], period: int, is_opened: bool
) -> None:
    account = live(catalogue, doings, period=period, is_opened=is_opened)[-1]
    stretches, month = stretches_of(account.history), PERIODS[period]
    assert sorted(day for stretch in stretches for day in stretch.days) == list(month.days)
    spans = sorted(span for stretch in stretches for span in stretch.spans)
    assert (spans[0][0], spans[-1][1]) == (month.start, month.end)
    assert all(first[1] == second[0] for first, second in pairwise(spans))
    assert len({stretch.terms.key for stretch in stretches}) == len(stretches)
    assert stretches[-1].terms == account.history.state.terms


@few
@given(catalogues(st.sampled_from([100, 10_000, 1_000_003])) | catalogues(), clicks)
def test_an_upgrade_never_lowers_a_bound_but_from_overage(catalogue: list[PlanTerms], doings: list[Click]) -> None:
    for before, after in pairwise(live(catalogue, doings)):
        old, new = quota_bound(before.history), quota_bound(after.history)
        if after.history.changes[-1].kind is ChangeKind.UPGRADE and old is not None and new is not None:
            assert new >= old


@few
@given(catalogues(st.sampled_from([100, 10_000, 1_000_003])), clicks)
def test_no_chain_of_hard_quotas_admits_more_than_the_largest_and_those_without_a_fee(
    catalogue: list[PlanTerms], doings: list[Click]
) -> None:
    account = live(catalogue, doings)[-1]
    held = {holding.terms.key: holding.terms for holding in account.history.state.holdings}.values()
    largest = max(terms.quota or 0 for terms in held)
    without_fee = sum(terms.quota or 0 for terms in held if not terms.price)
    bound = quota_bound(account.history)
    assert bound is not None
    assert bound <= largest + without_fee + len(held)  # each share is rounded up


@few
@given(catalogues(), clicks, clicks)
def test_the_history_of_two_periods_is_read_from_all_changes(
    catalogue: list[PlanTerms], first: list[Click], second: list[Click]
) -> None:
    account = live(catalogue, first, is_opened=True)[-1]
    december = next_period(PERIODS[0], "UTC")
    following = Account(account.history.next_terms, december)
    now = december.start
    for doing in second:
        now += timedelta(minutes=doing.minutes)
        if now < december.end and not doing.is_undo:
            following.choose(catalogue[doing.plan], now)
    changes = [*account.history.changes, *following.history.changes]
    assert history_of(PERIODS[0], changes) == account.history
    begun = history_of(december, changes)
    assert begun == replace(following.history, start_currency=account.history.state.currency)
    january = next_period(december, "UTC")
    assert history_of(january, changes).start_terms == following.history.next_terms


@few
@given(catalogues(), clicks, st.integers(0, 4))
def test_staff_give_back_what_the_days_left_were_charged_and_nothing_more(
    catalogue: list[PlanTerms], doings: list[Click], target: int
) -> None:
    account = live(catalogue, doings)[-1]
    now, terms = account.history.period.end - timedelta(hours=2), catalogue[target]
    try:
        change = decide_move(account.situation(now), terms, has_credit_notes=True)
    except Conflict:
        return
    if change is None:
        return
    moved = account.history.with_change(change)
    assert moved.state.terms == terms
    assert (moved.state.pending, moved.state.before_upgrade) == (None, None)
    is_down = change.kind is ChangeKind.MOVE_DOWN
    expected = (
        min(charged_price(account.history), terms.price)
        if is_down
        else max(charged_price(account.history), terms.price)
    )
    assert charged_price(moved) == expected
    assert (
        (fees_so_far(moved) <= fees_so_far(account.history))
        if is_down
        else (fees_so_far(moved) >= fees_so_far(account.history))
    )
