"""Days of allowed and denied requests, as steps of a chart. Pure."""

from collections.abc import Sequence
from typing import Any

from web.pages.framework.chart import Step
from web.pages.framework.date_ranges import local_day
from web.pages.framework.formatting import MONTHS, parse_instant

NAMES = ("allowed", "denied")


def daily_steps(points: Sequence[dict[str, Any]], zone: str) -> list[Step]:
    """`points` as GraphQL's usage answers them: at, totals { allowed denied }."""
    return [_step(point, zone) for point in points]


def _step(point: dict[str, Any], zone: str) -> Step:
    day = local_day(parse_instant(point["at"]), zone)
    name = f"{day.day} {MONTHS[day.month - 1]}"
    return Step(name, name, (point["totals"]["allowed"], point["totals"]["denied"]))
