"""Where a quota is heading."""

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class Pace:
    """`units` used in the last `seconds`."""

    units: int
    seconds: int

    def units_in(self, seconds: int) -> int:
        """Return the whole units that a time of so many seconds would have."""
        return self.units * seconds // max(1, self.seconds)


@dataclass(frozen=True, slots=True)
class Forecast:
    """`used` by the period's end, and when the quota ends (None: not within the period), if the pace stays."""

    used: int
    runs_out_at: datetime | None


def forecast(used: int, limit: int | None, pace: Pace, now: datetime, end: datetime) -> Forecast:
    """Extrapolate to the period's end, in whole units and seconds. A quota that is used up ends now."""
    left = max(0, int((end - now).total_seconds()))
    expected = used + pace.units_in(left)
    if limit is None or expected < limit:
        return Forecast(expected, None)
    missing = max(0, limit - used)
    wait = timedelta(seconds=missing * max(1, pace.seconds) // max(1, pace.units))
    return Forecast(expected, min(now + wait, end))
