"""Where the quota is heading, in words: with the span it is judged by, and silent while that is too short. Pure."""

from datetime import datetime, timedelta
from typing import Any, NamedTuple

from web.pages.framework import number, parse_instant, percent

MIN_SPAN = timedelta(hours=24)
FULL_SPAN = timedelta(days=7)


class ForecastText(NamedTuple):
    """`runs_out_at` is None where the quota lasts or nobody can tell yet; `is_used_up` is no forecast."""

    figure: str
    note: str
    runs_out_at: str | None
    is_used_up: bool


def describe_forecast(quota: dict[str, Any], now: datetime) -> ForecastText:
    """Return what the overview and the plan page say. `quota` has limit, used and forecast { used runsOutAt since }."""
    forecast, limit = quota["forecast"], quota["limit"]
    is_used_up = bool(limit) and quota["used"] >= limit
    span = now - parse_instant(forecast["since"])
    if span < MIN_SPAN:
        return ForecastText("–", "known after a day of use", None, is_used_up)
    days = round(span / timedelta(days=1))
    pace = f"at the pace of the last {'7 days' if span >= FULL_SPAN else f'{days} days' if days > 1 else '24 h'}"
    share = f"{percent(forecast['used'], limit)} of the quota, " if limit else ""
    runs_out_at = None if is_used_up else forecast["runsOutAt"]
    return ForecastText(number(forecast["used"]), share + pace, runs_out_at, is_used_up)
