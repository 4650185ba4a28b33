"""Facts about usage."""

from portal.core.events import Event


class UsageSettled(Event, frozen=True, kw_only=True):
    """The cost of a billable check was replaced: its period has so many units more (negative: fewer)."""

    request_id: str
    period: str
    added: int
