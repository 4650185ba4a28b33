"""Facts about usage."""

from portal.core.messaging.outbox import Event


class UsageSettled(Event, frozen=True, kw_only=True):
    """The cost of a billable check was replaced: its period has `added` units more (negative: fewer).

    `settled` is what all settlements of the period have added, this one too.
    """

    wire_type = "UsageSettled"
    request_id: str
    period: str
    added: int
    settled: int
