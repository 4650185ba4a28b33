"""How long usage is kept, and since when it can still be counted. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from portal.usage.rules import EARLIEST, month_of, months_from

EVENTS = "usage_events"
MARGIN = timedelta(days=1)
"""A month goes this much after ingest has stopped taking its events, whatever the clocks of two nodes say."""


@dataclass(frozen=True, slots=True)
class Retention:
    """Whole months that are kept beside the current one, by table; of the quarantine days, 0: for ever."""

    raw: int = 13
    minute: int = 3
    quarter: int = 25
    day: int = 120
    quarantine_days: int = 400

    def by_table(self) -> dict[str, int]:
        return {
            EVENTS: self.raw,
            "usage_minutes": self.minute,
            "usage_quarters": self.quarter,
            "usage_days": self.day,
        }


def oldest_kept(now: datetime, months: int) -> datetime:
    """The first month of those that are kept."""
    return months_from(month_of(now), -months)


def oldest_not_dropped(now: datetime, months: int) -> datetime:
    """Months before this one are dropped."""
    return oldest_kept(now - MARGIN, months)


def earliest_at(now: datetime, retention: Retention | None) -> datetime:
    """Before it the raw events are gone, and with them the knowledge of what was counted."""
    return EARLIEST if retention is None else oldest_kept(now, retention.raw)
