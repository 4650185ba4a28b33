"""The wall clock, aware and in UTC. Decisions use Redis's clock and transactions PostgreSQL's, never this one."""

from datetime import UTC, datetime


def utc_now() -> datetime:
    return datetime.now(UTC)


def to_microseconds(instant: datetime) -> int:
    """Return the microseconds since the epoch, exact (no float on the way)."""
    delta = instant - datetime(1970, 1, 1, tzinfo=UTC)
    return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds


def from_microseconds(instant_us: int) -> datetime:
    """Return the instant that `to_microseconds` made the number of."""
    seconds, micros = divmod(instant_us, 1_000_000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=micros)
