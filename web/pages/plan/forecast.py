"""Where the quota is heading, in words: with the span it is judged by, and silent while that is too short. Pure."""

from datetime import datetime, timedelta
from typing import Any, NamedTuple

from web.pages.framework import money, number, parse_instant, percent

MIN_SPAN = timedelta(hours=24)
FULL_SPAN = timedelta(days=7)


class ForecastText(NamedTuple):
    """`runs_out_at` is None where the quota lasts or nobody can tell yet; `is_used_up` is no forecast."""

    figure: str
    note: str
    runs_out_at: str | None
    is_used_up: bool


def pace_in_words(since: str, now: datetime) -> str | None:
    """Return "at the pace of the last 7 days"; None from less than a day, which says little."""
    span = now - parse_instant(since)
    if span < MIN_SPAN:
        return None
    days = round(span / timedelta(days=1))
    return f"at the pace of the last {'7 days' if span >= FULL_SPAN else f'{days} days' if days > 1 else '24 h'}"


def describe_month(month: dict[str, Any], pace: str | None) -> str | None:
    """Return what a month costs; None without a pace or any use. `month` has units, denied and cost."""
    units, denied = int(month["units"]), int(month["denied"])
    if pace is None or not units + denied:
        return None
    refused = f"; {number(denied)} more are denied" if denied else ""
    return f"A month {pace} costs {money(month['cost'])} for {number(units)} units{refused}."


def describe_forecast(quota: dict[str, Any], now: datetime) -> ForecastText:
    """Return what the overview and the plan page say. `quota` has limit, used and forecast { used runsOutAt since }."""
    forecast, limit = quota["forecast"], quota["limit"]
    is_used_up = bool(limit) and quota["used"] >= limit
    pace = pace_in_words(forecast["since"], now)
    if pace is None:
        return ForecastText("–", "known after a day of use", None, is_used_up)
    share = f"{percent(forecast['used'], limit)} of the quota, " if limit else ""
    runs_out_at = None if is_used_up else forecast["runsOutAt"]
    return ForecastText(number(forecast["used"]), share + pace, runs_out_at, is_used_up)
