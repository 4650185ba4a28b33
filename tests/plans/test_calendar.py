"""Periods and days: each instant in exactly one, in every zone, whatever its clocks do and whoever moves where."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from random import Random
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.plans import AccountPeriod, day_of, first_period, month_period, next_period, start_of_day

ZONES = sorted(available_timezones())
MICROSECOND = timedelta(microseconds=1)
ODD = [
    ("Pacific/Apia", "2011-12"),  # had no 30 December
    ("Pacific/Kwajalein", "1993-08"),  # no 21 August
    ("Pacific/Kiritimati", "1994-12"),  # no 31 December: the month ends a day early
    ("Pacific/Enderbury", "1994-12"),
    ("America/St_Johns", "2006-10"),  # clocks put back at 00:01: an hour has the date of the day before once more
    ("America/St_Johns", "2007-03"),
    ("America/Sao_Paulo", "2017-10"),  # midnight put forward
    ("America/Sao_Paulo", "2018-02"),
    ("America/Toronto", "1919-03"),  # put forward at 23:30: midnight was skipped within the hour
    ("America/Havana", "2026-03"),
    ("Asia/Gaza", "2026-10"),
    ("Africa/Cairo", "2026-04"),
    ("Asia/Amman", "2012-10"),
    ("Asia/Beirut", "2026-03"),
    ("Asia/Tehran", "2022-03"),
    ("Australia/Lord_Howe", "2026-04"),
    ("Antarctica/Troll", "2026-10"),
    ("America/Asuncion", "2024-10"),
    ("Asia/Pyongyang", "2015-08"),
    ("America/Caracas", "2007-12"),
    ("Asia/Manila", "1990-05"),
    ("Pacific/Fakaofo", "2011-12"),
]
"""Zones in months in which their clocks did something at midnight, or a date was skipped."""


def local_date(instant: datetime, zone: str) -> date:
    return instant.astimezone(ZoneInfo(zone)).date()


def check_days(period: AccountPeriod) -> None:
    """Check that days follow one another, that each begins when its date does, and that instants find theirs."""
    days, zone = period.days, period.time_zone
    starts = [period.start_of(number) for number in range(len(days) + 1)]
    assert (starts[0], starts[-1]) == (period.start, period.end)
    assert all(start < end for start, end in pairwise(starts))
    assert list(days) == sorted(set(days))
    assert {f"{day:%Y-%m}" for day in days} == {period.name}
    for number, (day, (start, end)) in enumerate(zip(days, pairwise(starts), strict=True)):
        assert [period.day_number(instant) for instant in (start, start + (end - start) / 2, end - MICROSECOND)] == (
            [number] * 3
        )
        if number:
            assert local_date(start, zone) == day
            for before in (MICROSECOND, timedelta(minutes=1), timedelta(hours=1), timedelta(hours=3)):
                assert local_date(start - before, zone) < day


@pytest.mark.parametrize(("zone", "name"), ODD)
def test_days_begin_with_the_first_instant_of_their_date(zone: str, name: str) -> None:
    before = month_period(name, zone)
    check_days(before)
    check_days(next_period(before, zone))


def test_a_date_that_was_skipped_is_no_day() -> None:
    december = month_period("2011-12", "Pacific/Apia")
    assert len(december.days) == 30
    assert date(2011, 12, 30) not in december.days
    assert len(month_period("1993-08", "Pacific/Kwajalein").days) == 30
    kiritimati = month_period("1994-12", "Pacific/Kiritimati")
    assert (len(kiritimati.days), kiritimati.days[-1]) == (30, date(1994, 12, 30))


def test_an_hour_that_has_its_date_once_more_belongs_to_the_day_that_had_begun() -> None:
    zone, again = "America/St_Johns", datetime(2006, 10, 29, 2, 45, tzinfo=UTC)
    assert local_date(again, zone) == date(2006, 10, 28)
    assert day_of(again, zone) == date(2006, 10, 29)
    assert start_of_day(date(2006, 10, 29), zone) == datetime(2006, 10, 29, 2, 30, tzinfo=UTC)


def test_every_zone_has_months_without_a_gap_for_a_year() -> None:
    for zone in ZONES:
        period = month_period("2026-01", zone)
        for _ in range(12):
            following = next_period(period, zone)
            assert following.start == period.end
            if period.start.astimezone(ZoneInfo(zone)).utcoffset() != period.end.astimezone(ZoneInfo(zone)).utcoffset():
                check_days(period)
            period = following
        assert period == month_period("2027-01", zone)


def test_periods_follow_one_another_through_every_zone() -> None:
    """Two rounds through all zones in an order of chance: a change of zone with every month, for a hundred years."""
    zones = ZONES * 2
    Random(13).shuffle(zones)  # noqa: S311 the same order each time
    period = month_period("1975-01", "UTC")
    for number, zone in enumerate(zones):
        following = next_period(period, zone)
        assert following.start == period.end
        assert timedelta(days=26) <= following.end - following.start <= timedelta(days=33)
        assert following.days[0] > period.days[-1]
        assert 27 <= len(following.days) <= 31
        assert following.name == f"{(date.fromisoformat(period.name + '-01') + timedelta(days=31)):%Y-%m}"
        if number % 8 == 0:
            check_days(following)
        period = following


@given(
    st.datetimes(datetime(1971, 1, 1), datetime(2099, 12, 31), timezones=st.just(UTC)),  # noqa: DTZ001 made aware
    st.sampled_from(ZONES),
    st.sampled_from(ZONES),
)
def test_an_instant_lies_in_one_period_also_of_two_zones(instant: datetime, zone: str, other: str) -> None:
    first = first_period(instant, zone)
    assert first.start <= instant < first.end
    assert first.days[first.day_number(instant)] == day_of(instant, zone)
    second = next_period(first, other)
    third = next_period(second, zone)
    assert (first.end, second.end) == (second.start, third.start)
    assert timedelta(days=26) <= second.end - second.start <= timedelta(days=33)
    for period in (second, third):
        moved = period.start + (instant - first.start) % (period.end - period.start)
        number = period.day_number(moved)
        assert period.start_of(number) <= moved < period.start_of(number + 1)


@given(st.datetimes(datetime(1971, 1, 1), datetime(2099, 12, 31), timezones=st.just(UTC)), st.sampled_from(ZONES))  # noqa: DTZ001 made aware
def test_an_end_belongs_to_what_follows(instant: datetime, zone: str) -> None:
    period = first_period(instant, zone)
    assert first_period(period.end, zone).start == period.end
    assert first_period(period.end - MICROSECOND, zone) == period
    day = day_of(instant, zone)
    start = start_of_day(day, zone)
    assert day_of(start, zone) == day
    assert day_of(start - MICROSECOND, zone) < day
