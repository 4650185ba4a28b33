"""How long usage is kept, and since when it can still be counted. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from portal.usage.rules import EARLIEST, month_of, months_from

RAW_TABLE = "usage_events"
MARGIN = timedelta(days=1)
"""A month goes this much after ingest has stopped taking its events, whatever the clocks of two nodes say."""


@dataclass(frozen=True, slots=True)
class Retention:
    """How many whole months each table keeps beside the current one, and the quarantine how many days (0: for ever)."""

    raw: int = 13
    minute: int = 3
    quarter: int = 25
    day: int = 120
    quarantine_days: int = 400

    def by_table(self) -> dict[str, int]:
        """Return the months by the name of the table."""
        return {
            RAW_TABLE: self.raw,
            "usage_minutes": self.minute,
            "usage_quarters": self.quarter,
            "usage_days": self.day,
        }


def oldest_kept(now: datetime, months: int) -> datetime:
    """Return the first of the months that are kept."""
    return months_from(month_of(now), -months)


def oldest_not_dropped(now: datetime, months: int) -> datetime:
    """Return the first of the months that are not dropped yet."""
    return oldest_kept(now - MARGIN, months)


def earliest_at(now: datetime, retention: Retention | None) -> datetime:
    """Return since when events can still be counted.

    Before it the raw events are gone, and with them the knowledge of what was counted.
    """
    return EARLIEST if retention is None else oldest_kept(now, retention.raw)
