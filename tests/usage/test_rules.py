"""Steps, covers and the stretch before: the calendar of a time zone, without a gap or an overlap."""

from bisect import bisect_right
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.core.errors import Invalid
from portal.usage.history.bucket_ranges import BucketRange, plan_buckets, steps_of
from portal.usage.rules import (
    DAY,
    HOUR,
    MINUTE,
    QUARTER,
    Granularity,
    aligned_range,
    ceil_to,
    floor_to,
    month_of,
    months_from,
    parse_zone,
    partition_name,
    range_before,
    step_starts,
)

ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "America/Sao_Paulo"]
UTC_ZONE = ZoneInfo("UTC")
LONGEST = dict.fromkeys(Granularity, 10**9) | {Granularity.MINUTE: 1440, Granularity.HOUR: 60 * 24 * 60}
BERLIN = ZoneInfo("Europe/Berlin")
instants = st.datetimes(
    min_value=datetime(2001, 1, 1),  # noqa: DTZ001  # Hypothesis wants naive bounds
    max_value=datetime(2040, 1, 1),  # noqa: DTZ001  # as above
    timezones=st.just(UTC),
)


def utc(*fields: int) -> datetime:
    return datetime(*fields, tzinfo=UTC)  # type: ignore[misc,arg-type]  # the fields are numbers


def lengths(day: datetime, zone: ZoneInfo, granularity: Granularity) -> list[timedelta]:
    """Of the steps within a local day and the one after it."""
    start, end = day.replace(tzinfo=zone), (day + 2 * DAY).replace(tzinfo=zone)
    starts = [*step_starts(start.astimezone(UTC), end.astimezone(UTC), granularity, zone), end]
    return [b.astimezone(UTC) - a.astimezone(UTC) for a, b in pairwise(starts)]


def test_a_day_has_23_hours_in_spring_and_25_in_autumn() -> None:
    assert lengths(utc(2026, 3, 29), BERLIN, Granularity.DAY) == [23 * HOUR, DAY]
    assert lengths(utc(2026, 10, 25), BERLIN, Granularity.DAY) == [25 * HOUR, DAY]
    assert len(lengths(utc(2026, 3, 29), BERLIN, Granularity.HOUR)) == 23 + 24
    assert len(lengths(utc(2026, 10, 25), BERLIN, Granularity.HOUR)) == 25 + 24


def test_a_shift_by_half_an_hour_breaks_one_hour() -> None:
    autumn = lengths(utc(2026, 4, 5), ZoneInfo("Australia/Lord_Howe"), Granularity.HOUR)
    assert sorted(set(autumn)) == [HOUR / 2, HOUR]
    assert sum(autumn, timedelta()) == timedelta(hours=48.5)
    spring = lengths(utc(2026, 10, 4), ZoneInfo("Australia/Lord_Howe"), Granularity.HOUR)
    assert sum(spring, timedelta()) == timedelta(hours=47.5)
    assert spring.count(HOUR / 2) == 1


def test_a_day_without_midnight_begins_with_its_first_instant() -> None:
    zone = ZoneInfo("America/Sao_Paulo")
    starts = step_starts(utc(2018, 11, 3, 3), utc(2018, 11, 6, 2), Granularity.DAY, zone)
    assert starts == [utc(2018, 11, 3, 3), utc(2018, 11, 4, 3), utc(2018, 11, 5, 2)]


def test_a_day_that_a_zone_skipped_has_no_step() -> None:
    zone = ZoneInfo("Pacific/Apia")
    starts = step_starts(utc(2011, 12, 29, 10), utc(2012, 1, 1, 10), Granularity.DAY, zone)
    assert [start.astimezone(zone).day for start in starts] == [29, 31, 1]


def test_months_are_those_of_the_zone() -> None:
    starts = step_starts(utc(2026, 1, 31, 23), utc(2026, 4, 1), Granularity.MONTH, BERLIN)
    assert starts == [utc(2026, 1, 31, 23), utc(2026, 2, 28, 23), utc(2026, 3, 31, 22)]


@given(instants, st.integers(1, 400 * 24 * 60), st.sampled_from(ZONES), st.sampled_from(Granularity))
def test_steps_fill_the_range_exactly(start: datetime, minutes: int, name: str, granularity: Granularity) -> None:
    zone = ZoneInfo(name)
    minutes = min(minutes, LONGEST[granularity])
    begin, end = aligned_range(start, start + minutes * MINUTE, granularity)
    starts = step_starts(begin, end, granularity, zone)
    assert begin <= start
    assert end >= start + minutes * MINUTE
    assert starts[0] == begin
    assert all(a < b for a, b in pairwise([*starts, end]))


@given(instants, st.integers(1, 70 * 24 * 60), st.sampled_from(ZONES), st.sampled_from(Granularity), st.data())
def test_every_quarter_counts_once_in_its_step_and_nowhere_else(
    start: datetime, minutes: int, name: str, granularity: Granularity, data: st.DataObject
) -> None:
    minutes = min(minutes, LONGEST[granularity])
    begin, end = aligned_range(start, start + minutes * MINUTE, granularity)
    starts = step_starts(begin, end, granularity, ZoneInfo(name))
    covered = plan_buckets(starts, end, granularity)
    around = int((end - begin + 6 * DAY) / QUARTER)
    instant = floor_to(begin - 3 * DAY, QUARTER) + data.draw(st.integers(0, around)) * QUARTER
    sums: dict[int, int] = {}
    for table, size in (("usage_minutes", MINUTE), ("usage_quarters", QUARTER), ("usage_days", DAY)):
        for step, sign in steps_of(covered, table, floor_to(instant, size)):
            sums[step] = sums.get(step, 0) + sign
    counted = {step: times for step, times in sums.items() if times}
    assert counted == ({bisect_right(starts, instant): 1} if begin <= instant < end else {})


def test_a_cover_stays_within_the_months_of_its_range() -> None:
    start, end = utc(2026, 10, 31, 23), utc(2026, 11, 30, 23)
    covered = plan_buckets(step_starts(start, end, Granularity.DAY, BERLIN), end, Granularity.DAY)
    days, edges = covered["usage_days"], covered["usage_quarters"]
    assert (days[0].start, days[-1].end) == (utc(2026, 11, 1), utc(2026, 12, 1))
    assert all(edge.end - edge.start == HOUR for edge in edges)
    assert len(edges) == 31


@pytest.mark.parametrize(
    ("start", "end", "before"),
    [
        ((2026, 3, 1), (2026, 4, 1), (2026, 2, 1)),
        ((2026, 1, 1), (2027, 1, 1), (2025, 1, 1)),
        ((2026, 3, 27), (2026, 4, 3), (2026, 3, 20)),
        ((2026, 10, 26), (2026, 10, 27), (2026, 10, 25)),
        ((2026, 11, 5, 12), (2026, 11, 5, 18), (2026, 11, 5, 6)),
    ],
)
def test_the_range_before_is_as_long_in_months_days_or_hours(
    start: tuple[int, ...], end: tuple[int, ...], before: tuple[int, ...]
) -> None:
    first, last, expected = (datetime(*fields, tzinfo=BERLIN) for fields in (start, end, before))  # type: ignore[misc,arg-type]  # as above
    assert range_before(first, last, BERLIN) == (expected, first)


@given(instants, st.sampled_from([MINUTE, QUARTER, DAY]))
def test_floor_and_ceiling_enclose(instant: datetime, size: timedelta) -> None:
    floor, ceiling = floor_to(instant, size), ceil_to(instant, size)
    assert floor <= instant <= ceiling
    assert ceiling - floor in (timedelta(), size)
    assert floor_to(floor, size) == floor == ceil_to(floor, size)


def test_utc_days_come_from_days_and_the_edges_from_quarters() -> None:
    start, end = utc(2026, 11, 1, 6), utc(2026, 11, 5, 1)
    covered = plan_buckets(step_starts(start, end, Granularity.DAY, UTC_ZONE), end, Granularity.DAY)
    assert [(day.start.day, day.adds_to, day.takes_from) for day in covered["usage_days"]] == [
        (n, n, 0) for n in range(1, 5)
    ]
    assert [(edge.start.day, edge.adds_to, edge.takes_from) for edge in covered["usage_quarters"]] == [
        (1, 0, 1),
        (5, 5, 0),
    ]
    whole = plan_buckets([utc(2026, 11, 1)], utc(2026, 12, 1), Granularity.MONTH)
    assert whole == {"usage_days": [BucketRange(utc(2026, 11, 1), utc(2026, 12, 1), 1, 0)]}


@pytest.mark.parametrize(
    ("start", "end", "granularity", "path"),
    [
        (datetime(2026, 1, 1), utc(2026, 1, 2), Granularity.DAY, "from"),  # noqa: DTZ001  # naive on purpose
        (utc(1970, 1, 1), utc(2026, 1, 2), Granularity.DAY, "from"),
        (utc(2026, 1, 1), utc(9999, 1, 2), Granularity.DAY, "from"),
        (utc(2026, 1, 2), utc(2026, 1, 2), Granularity.DAY, "from"),
        (utc(2026, 1, 1), utc(2026, 1, 2, 0, 1), Granularity.MINUTE, "granularity"),
    ],
)
def test_a_range_that_cannot_be_served_says_so(
    start: datetime, end: datetime, granularity: Granularity, path: str
) -> None:
    with pytest.raises(Invalid) as caught:
        aligned_range(start, end, granularity)
    assert caught.value.path == (path,)


def test_the_most_points_are_1500() -> None:
    end = utc(2026, 1, 1) + 1500 * HOUR
    assert len(step_starts(utc(2026, 1, 1), end, Granularity.HOUR, UTC_ZONE)) == 1500
    with pytest.raises(Invalid, match="1500 points"):
        step_starts(utc(2026, 1, 1), end + QUARTER, Granularity.HOUR, UTC_ZONE)


@pytest.mark.parametrize("name", ["", "Mars/Olympus", "../etc/passwd", "/etc/passwd", "America", "a\0b"])
def test_an_unknown_zone_is_refused(name: str) -> None:
    with pytest.raises(Invalid):
        parse_zone(name)


def test_months_move_over_the_years() -> None:
    month = month_of(utc(2026, 11, 30, 23, 59))
    assert [months_from(month, n) for n in (-11, 0, 2)] == [utc(2025, 12, 1), utc(2026, 11, 1), utc(2027, 1, 1)]
    assert partition_name("usage_days", month) == "usage_days_2026_11"
