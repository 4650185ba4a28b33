"""What can be exported: which rows of which range, and the columns that they have in the file."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from portal.usage.export.encoders import Shape
from portal.usage.history import UsageFilter


class ExportRows(StrEnum):
    """What a row is: a counted check, or a bucket (days are those of UTC)."""

    EVENTS = "events"
    MINUTES = "minutes"
    QUARTERS = "quarters"
    DAYS = "days"


_EVENTS = Shape(
    instants=("occurred_at", "settled_at"),
    numbers=("cost",),
    columns=(
        *("occurred_at", "request_id", "key_id", "secret_id", "environment", "resource", "outcome", "cost", "period"),
        "settled_at",
    ),
)
_BUCKETS = Shape(
    instants=("bucket_at",),
    numbers=("calls", "units"),
    columns=("bucket_at", "key_id", "environment", "resource", "outcome", "calls", "units"),
)


@dataclass(frozen=True, slots=True)
class ExportQuery:
    """Rows whose time lies in [start, end), both aware."""

    start: datetime
    end: datetime
    rows: ExportRows = ExportRows.EVENTS
    filter: UsageFilter = field(default_factory=UsageFilter)

    @property
    def is_raw(self) -> bool:
        """Return whether the rows are raw events, as opposed to buckets."""
        return self.rows is ExportRows.EVENTS

    @property
    def shape(self) -> Shape:
        """The columns of the file."""
        return _EVENTS if self.is_raw else _BUCKETS
