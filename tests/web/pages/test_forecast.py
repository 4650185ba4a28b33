"""What is said about where the quota is heading, by how long there was usage."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from web.pages.plan.forecast import describe_forecast, describe_month, pace_in_words

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)


def quota(
    used: int, limit: int | None, span: timedelta, expected: int, runs_out_at: str | None = None
) -> dict[str, Any]:
    forecast = {"used": expected, "runsOutAt": runs_out_at, "since": (NOW - span).isoformat()}
    return {"used": used, "limit": limit, "forecast": forecast}


@pytest.mark.parametrize("minutes", [3, 25, 60, 23 * 60])
def test_nothing_is_foretold_from_less_than_a_day(minutes: int) -> None:
    said = describe_forecast(quota(13_708, 10_000, timedelta(minutes=minutes), 176_543, NOW.isoformat()), NOW)
    assert (said.figure, said.note, said.runs_out_at) == ("–", "known after a day of use", None)
    assert said.is_used_up


@pytest.mark.parametrize(
    ("span", "words"),
    [
        (timedelta(hours=24), "the last 24 h"),
        (timedelta(hours=49), "the last 2 days"),
        (timedelta(days=6), "the last 6 days"),
        (timedelta(days=7), "the last 7 days"),
        (timedelta(days=7, hours=12), "the last 7 days"),
    ],
)
def test_the_span_is_named(span: timedelta, words: str) -> None:
    said = describe_forecast(quota(50, 10_000, span, 9_999), NOW)
    assert said == ("9,999", f"99.99% of the quota, at the pace of {words}", None, False)
    assert describe_forecast(quota(50, None, span, 9_999), NOW).note == f"at the pace of {words}"


@pytest.mark.parametrize(
    ("units", "denied", "since", "said"),
    [
        (0, 0, timedelta(days=7), None),
        (10, 0, timedelta(hours=23), None),
        (1_500_000, 0, timedelta(days=7), "A month at the pace of the last 7 days costs €79.00 for 1,500,000 units."),
        (
            10_000,
            2_000,
            timedelta(days=2),
            "A month at the pace of the last 2 days costs €79.00 for 10,000 units; 2,000 more are denied.",
        ),
    ],
)
def test_what_a_month_costs_is_said_with_its_span(units: int, denied: int, since: timedelta, said: str | None) -> None:
    month = {"units": units, "denied": denied, "cost": {"amount": "79.00", "currency": "EUR"}}
    assert describe_month(month, pace_in_words((NOW - since).isoformat(), NOW)) == said
