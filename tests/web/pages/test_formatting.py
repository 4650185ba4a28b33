"""Numbers and times for people."""

from datetime import UTC, datetime, timedelta

import pytest

from web.pages.framework import formatting as formats

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "shown"), [(0, "0"), (999, "999"), (48_213, "48,213"), (-1_000, "\N{MINUS SIGN}1,000")]
)
def test_numbers(value: int, shown: str) -> None:
    assert formats.number(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"), [(0, "0"), (500, "500"), (1_500, "1.5k"), (20_000, "20k"), (3_000_000, "3M"), (2e9, "2G")]
)
def test_compact_numbers(value: float, shown: str) -> None:
    assert formats.compact(value) == shown


@pytest.mark.parametrize(
    ("part", "whole", "shown"),
    [
        (0, 0, "0%"),
        (0, 10, "0%"),
        (1, 1, "100%"),
        (41, 10_000, "0.41%"),
        (21, 1_000, "2.1%"),
        (1, 10**6, "< 0.01%"),
        (9966, 10_000, "99.66%"),
        (9999, 10_000, "99.99%"),
        (99_999_999, 100_000_000, "> 99.99%"),
        (10_000, 10_000, "100%"),
        (176_543, 10_000, "1,765%"),
    ],
)
def test_shares(part: int, whole: int, shown: str) -> None:
    assert formats.percent(part, whole) == shown


@pytest.mark.parametrize(
    ("now", "before", "shown"),
    [(112, 100, "+12%"), (50, 100, "\N{MINUS SIGN}50%"), (100, 100, "±0%"), (5, 0, None), (500, 1, "> +999%")],
)
def test_changes(now: int, before: int, shown: str | None) -> None:
    assert formats.change(now, before) == shown


@pytest.mark.parametrize(
    ("distance", "shown"),
    [
        (timedelta(seconds=-3), "now"),
        (timedelta(seconds=-40), "40 s ago"),
        (timedelta(minutes=-2), "2 min ago"),
        (timedelta(hours=-5), "5 h ago"),
        (timedelta(hours=22), "in 22 h"),
        (timedelta(days=3), "in 3 days"),
        (timedelta(days=-95), "19 Aug 2026"),
    ],
)
def test_relative_times(distance: timedelta, shown: str) -> None:
    assert formats.relative((NOW + distance).isoformat(), NOW) == shown


def test_moments_are_local() -> None:
    assert formats.moment("2026-12-31T23:30:00Z", "Europe/Berlin") == "1 Jan 2027, 00:30"
    assert formats.date("2026-12-31T23:30:00") == "31 Dec 2026"


@pytest.mark.parametrize(
    ("zone", "shown"),
    [
        ("UTC", "UTC"),
        ("Europe/Berlin", "Europe/Berlin (UTC+1)"),
        ("Asia/Kolkata", "Asia/Kolkata (UTC+5:30)"),
        ("America/New_York", "America/New_York (UTC\N{MINUS SIGN}5)"),
    ],
)
def test_zones_say_what_they_mean(zone: str, shown: str) -> None:
    assert formats.zone_name(zone, NOW) == shown


@pytest.mark.parametrize(
    ("length_ms", "shown"), [(250, "250 ms"), (1_000, "1 s"), (60_000, "1 min"), (3_600_000, "1 h")]
)
def test_windows(length_ms: int, shown: str) -> None:
    assert formats.window(length_ms) == shown


def test_the_time_of_a_log_leaves_out_this_year() -> None:
    at = datetime(2026, 3, 1, 23, 5, 9, tzinfo=UTC)
    assert formats.log_time(at, NOW, "Europe/Berlin") == "2 Mar, 00:05:09"
    assert formats.log_time(at.replace(year=2025), NOW) == "1 Mar 2025, 23:05:09"
