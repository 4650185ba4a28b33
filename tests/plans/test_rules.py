"""Billing periods: calendar months of the account's own time zone, adjacent, whatever its clocks do."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.plans.rules import CLOCKS_APART, period_named, periods_around, periods_near

ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/St_Johns",
    "America/Santiago",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Pacific/Kiritimati",
    "Africa/Casablanca",
)
MICROSECOND = timedelta(microseconds=1)
instants = st.datetimes(datetime(2001, 1, 1), datetime(2099, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001 made aware


@given(instants, st.sampled_from(ZONES))
def test_an_instant_lies_in_the_first_of_two_adjacent_months(instant: datetime, zone: str) -> None:
    first, second = periods_around(instant, zone)
    assert first.start <= instant < first.end == second.start < second.end
    local = instant.astimezone(ZoneInfo(zone))
    assert first.name == f"{local:%Y-%m}"
    assert period_named(first.name, zone) == first
    assert period_named(second.name, zone) == second


@given(instants, st.sampled_from(ZONES))
def test_the_period_changes_with_the_microsecond_in_which_the_local_month_does(instant: datetime, zone: str) -> None:
    first, second = periods_around(instant, zone)
    for border in (first.start, first.end):
        before, after = (moment.astimezone(ZoneInfo(zone)) for moment in (border - MICROSECOND, border))
        assert (before.year, before.month) != (after.year, after.month)
    assert periods_around(first.end - MICROSECOND, zone) == (first, second)
    assert periods_around(first.end, zone)[0] == second
    assert periods_around(first.start - MICROSECOND, zone)[1] == first


@given(instants, st.sampled_from(ZONES), st.timedeltas(-CLOCKS_APART, timedelta(days=27)))
def test_who_is_two_hours_behind_or_a_month_ahead_still_finds_its_period(
    instant: datetime, zone: str, ahead: timedelta
) -> None:
    near = periods_near(instant, zone)
    assert all(one.end == other.start for one, other in pairwise(near))
    told = [period for period in near if period.start <= instant + ahead < period.end]
    assert told == [periods_around(instant + ahead, zone)[0]]
    assert near[-2:] == periods_around(instant, zone)


@pytest.mark.parametrize(
    ("name", "zone", "hours"),
    [
        ("2026-03", "Europe/Berlin", 31 * 24 - 1),
        ("2026-10", "Europe/Berlin", 31 * 24 + 1),
        ("2026-11", "America/New_York", 30 * 24 + 1),
        ("2024-02", "UTC", 29 * 24),
        ("2026-02", "Asia/Kolkata", 28 * 24),
        ("2011-12", "Pacific/Apia", 30 * 24),  # the 30th did not take place
    ],
)
def test_a_month_is_as_long_as_its_clocks_make_it(name: str, zone: str, hours: int) -> None:
    period = period_named(name, zone)
    assert period.end - period.start == timedelta(hours=hours)


def test_a_year_ends_where_the_account_is() -> None:
    first, second = periods_around(datetime(2026, 12, 31, 10, tzinfo=UTC), "Pacific/Kiritimati")
    assert (first.name, second.name) == ("2027-01", "2027-02")
    assert first.start == datetime(2026, 12, 31, 10, tzinfo=UTC)
    assert periods_around(first.start - MICROSECOND, "Pacific/Kiritimati")[0].name == "2026-12"


def test_what_is_no_period_is_refused() -> None:
    with pytest.raises(ValueError, match="not enough values"):
        period_named("2026", "UTC")
