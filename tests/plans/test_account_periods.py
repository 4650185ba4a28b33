"""The periods of an account: whichever of them are stored, whoever looks finds the same."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from random import Random
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.accounts import list_time_zones
from portal.plans import AccountPeriod, AccountPeriods, first_period, month_period, next_period
from portal.plans.periods.account_periods import CLOCKS_APART

MICROSECOND = timedelta(microseconds=1)
ZONES = list_time_zones()
zones = st.sampled_from(ZONES)
instants = st.datetimes(datetime(2001, 1, 1), datetime(2099, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001 made aware


def periods_of(*changes: str, since: str = "2026-01") -> AccountPeriods:
    """Return periods of which one each is stored in these zones, one after the other."""
    period = month_period(since, changes[0])
    stored = [period]
    for zone in changes[1:]:
        period = next_period(period, zone)
        stored.append(period)
    return AccountPeriods(tuple(stored))


@given(instants, zones)
def test_without_a_change_a_period_is_the_month_of_its_zone(instant: datetime, zone: str) -> None:
    periods = AccountPeriods((first_period(datetime(2026, 6, 15, tzinfo=UTC), zone),))
    first, second = periods.around(instant)
    assert first.start <= instant < first.end == second.start < second.end
    assert first.name == f"{instant.astimezone(ZoneInfo(zone)):%Y-%m}"
    assert [periods.named(period.name) for period in (first, second)] == [first, second]
    assert periods.at(first.end - MICROSECOND) == first
    assert periods.at(first.end) == second
    assert periods.at(first.start - MICROSECOND).end == first.start


@given(st.lists(zones, min_size=2, max_size=8), st.data())
def test_each_instant_is_in_one_period_whatever_was_chosen_and_stored(chosen: list[str], data: st.DataObject) -> None:
    """An account was away for months, or its first periods are dropped: what is computed is what was stored."""
    whole = periods_of(*chosen)
    later = next_period(whole.stored[-1], chosen[-1])
    known = [whole.at(whole.stored[0].start - MICROSECOND), *whole.stored, later]
    for period, following in pairwise(known):
        assert period.end == following.start
        for instant in (period.start, period.end - MICROSECOND, period.start + (period.end - period.start) / 2):
            assert whole.at(instant) == whole.named(period.name) == period
            assert whole.day_at(instant) in period.days
        assert whole.after(period) == following
    ahead = data.draw(st.timedeltas(-CLOCKS_APART, timedelta(days=25)))
    instant = data.draw(st.datetimes(*(moment.replace(tzinfo=None) for moment in (known[1].start, later.start))))
    near = whole.near(instant.replace(tzinfo=UTC))
    seen = instant.replace(tzinfo=UTC) + ahead
    assert [period for period in near if period.start <= seen < period.end] == [whole.at(seen)]


def test_every_zone_after_every_other_one_stored_a_month_each() -> None:
    order = [*ZONES]
    Random(94).shuffle(order)  # noqa: S311 the same order each time
    periods = periods_of(*order, since="1980-01")
    for stored in Random(1).sample(periods.stored, 150):  # noqa: S311
        assert periods.at(stored.start) == periods.at(stored.end - MICROSECOND) == periods.named(stored.name) == stored
        assert 26 <= (stored.end - stored.start) / timedelta(days=1) <= 33
    assert {period.time_zone for period in periods.stored} >= available_timezones() - {"Factory", "localtime"}


def test_no_boundary_differs_from_what_earlier_versions_derived() -> None:
    for zone in ZONES:
        for number in range(24):
            first, last = (
                datetime(2026 + (number + step) // 12, (number + step) % 12 + 1, 1, tzinfo=ZoneInfo(zone))
                for step in (0, 1)
            )
            period = month_period(f"{first:%Y-%m}", zone)
            assert (period.start, period.end) == (first.astimezone(UTC), last.astimezone(UTC)), zone


@pytest.mark.parametrize(("missing", "zone"), [(1, "Europe/Berlin"), (7, "America/Havana"), (40, "Pacific/Apia")])
def test_an_account_that_was_away_goes_on_in_the_zone_of_what_is_stored_last(missing: int, zone: str) -> None:
    periods = periods_of("UTC", zone)
    period: AccountPeriod = periods.stored[-1]
    for _ in range(missing):
        period = next_period(period, zone)
    assert periods.at(period.start) == periods.named(period.name) == month_period(period.name, zone)


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
    period = AccountPeriods((month_period("2026-06", zone),)).named(name)
    assert period.end - period.start == timedelta(hours=hours)


@pytest.mark.parametrize("name", ["2026", "2026-13", "2026-1", "", "november"])
def test_what_is_no_period_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        periods_of("UTC").named(name)
