"""Shares of a period by day: both end days, the period's real length, half-up once, and nothing outside it."""

from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.billing import Share, days_covered, prorate
from portal.billing.prorate import WHOLE
from portal.core.errors import Invalid
from tests.billing.sample import D, currencies, prices, shares

START = date(2026, 10, 1)
AUGUST = (date(2026, 8, 1), date(2026, 8, 31))


@pytest.mark.parametrize(
    ("amount", "days", "of_days", "currency", "part"),
    [
        ("1000", 6, 31, "JPY", "194"),
        ("10.00", 6, 31, "EUR", "1.94"),
        ("1000", 6, 31, "KWD", "193.548"),
        ("1000", 25, 28, "JPY", "893"),
        ("0.01", 1, 2, "EUR", "0.01"),
        ("-0.01", 1, 2, "EUR", "-0.01"),
        ("49", 31, 31, "EUR", "49.00"),
        ("49", 0, 31, "EUR", "0.00"),
    ],
)
def test_a_share_is_rounded_half_up(amount: str, days: int, of_days: int, currency: str, part: str) -> None:
    assert str(prorate(D(amount), Share(days, of_days), currency)) == part


@given(prices, shares, currencies)
def test_a_credit_is_the_charge_with_the_other_sign(amount: Decimal, share: Share, currency: str) -> None:
    part = prorate(amount, share, currency)
    assert prorate(-amount, share, currency) == -part
    assert 0 <= part <= prorate(amount, WHOLE, currency)


@given(prices, shares)
def test_it_is_off_by_half_a_minor_unit_at_most(amount: Decimal, share: Share) -> None:
    exact = Fraction(amount) * share.days / share.of_days
    assert abs(Fraction(prorate(amount, share, "EUR")) - exact) <= Fraction(1, 200)


@pytest.mark.parametrize(
    ("first", "last", "period", "share"),
    [
        (date(2026, 8, 26), date(2026, 8, 31), AUGUST, Share(6, 31)),
        (date(2026, 8, 1), date(2026, 8, 31), AUGUST, Share(31, 31)),
        (date(2026, 8, 1), date(2026, 8, 1), AUGUST, Share(1, 31)),
        (date(2026, 2, 4), date(2026, 2, 28), (date(2026, 2, 1), date(2026, 2, 28)), Share(25, 28)),
        (date(2028, 2, 5), date(2028, 2, 29), (date(2028, 2, 1), date(2028, 2, 29)), Share(25, 29)),
        (date(2026, 1, 31), date(2026, 2, 27), (date(2026, 1, 31), date(2026, 2, 27)), Share(28, 28)),
    ],
)
def test_both_end_days_count(first: date, last: date, period: tuple[date, date], share: Share) -> None:
    assert days_covered(first, last, *period) == share


@given(st.integers(1, 366), st.data())
def test_two_stretches_that_meet_are_the_whole(length: int, data: st.DataObject) -> None:
    end = START + timedelta(days=length)
    change = START + timedelta(days=data.draw(st.integers(1, length)))
    before = days_covered(START, change - timedelta(days=1), START, end)
    after = days_covered(change, end, START, end)
    assert before.days + after.days == before.of_days == after.of_days == length + 1


@pytest.mark.parametrize(
    ("days", "path"),
    [
        (("2026-08-05", "2026-08-04", "2026-08-01", "2026-08-31"), "last"),
        (("2026-07-31", "2026-08-04", "2026-08-01", "2026-08-31"), "first"),
        (("2026-08-05", "2026-09-01", "2026-08-01", "2026-08-31"), "last"),
        (("2026-08-05", "2026-08-06", "2026-08-31", "2026-08-01"), "period_last"),
    ],
)
def test_days_outside_the_period_are_refused(days: tuple[str, str, str, str], path: str) -> None:
    first, last, period_first, period_last = map(date.fromisoformat, days)
    with pytest.raises(Invalid) as refused:
        days_covered(first, last, period_first, period_last)
    assert refused.value.path == (path,)
    assert refused.value.hint


@pytest.mark.parametrize(("days", "of_days"), [(-1, 31), (32, 31), (0, 0), (0, -1)])
def test_more_than_the_whole_is_no_share(days: int, of_days: int) -> None:
    with pytest.raises(ValueError, match="is no share"):
        Share(days, of_days)
