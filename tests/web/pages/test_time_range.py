"""Ranges of the usage page."""

from datetime import UTC, datetime, timedelta

import pytest

from web.pages.usage.filters import parse_window

NOW = datetime(2026, 11, 27, 12, 34, tzinfo=UTC)
BERLIN = "Europe/Berlin"


@pytest.mark.parametrize(
    ("preset", "length", "granularity"),
    [("24h", timedelta(hours=24), "HOUR"), ("7d", timedelta(days=7), "HOUR"), ("30d", timedelta(days=30), "DAY")],
)
def test_presets(preset: str, length: timedelta, granularity: str) -> None:
    window = parse_window(preset, "", "", NOW, BERLIN)
    assert window.end - window.start == length
    assert window.granularity == granularity
    assert window.start < NOW < window.end


def test_days_are_local_days_across_a_clock_change() -> None:
    window = parse_window("custom", "2026-10-25", "2026-10-25", NOW, BERLIN)
    assert window.end - window.start == timedelta(hours=25)
    assert window.start == datetime(2026, 10, 24, 22, tzinfo=UTC)


@pytest.mark.parametrize(
    ("first", "last"),
    [
        ("2026-11-02", "2026-11-01"),
        ("x", "2026-11-01"),
        ("2026-11-01", ""),
        ("2024-01-01", "2026-01-01"),
        ("2026-11-01", "2999-01-01"),
        ("0001-01-01", "0001-01-02"),
    ],
)
def test_a_range_without_sense_shows_30_days_and_says_why(first: str, last: str) -> None:
    window = parse_window("custom", first, last, NOW, BERLIN)
    assert window.problem
    assert window.end - window.start == timedelta(days=30)


def test_long_ranges_are_shown_by_month() -> None:
    assert parse_window("custom", "2026-01-01", "2026-11-22", NOW, "UTC").granularity == "MONTH"


def test_unknown_words_mean_30_days() -> None:
    assert parse_window("", "", "", NOW, "UTC") == parse_window("nonsense", "", "", NOW, "UTC")
