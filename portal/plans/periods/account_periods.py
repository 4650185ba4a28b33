"""Find the periods of an account from those that are stored, and compute those that are not. Pure."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from portal.plans.calendar import AccountPeriod, first_period, month_period

CLOCKS_APART = timedelta(hours=2)
"""How far the clock of a process that uses the periods may be behind the clock of the one that computed them."""


@dataclass(frozen=True, slots=True)
class AccountPeriods:
    """All periods of an account: those of `stored`, in order and at least one, and those that follow from them.

    No zone changes without a stored period, and each ends with a month of its zone: so those before the first and after
    the last are months of its zone. Whoever computes them at whatever time gets the same.
    """

    stored: tuple[AccountPeriod, ...]

    def at(self, instant: datetime) -> AccountPeriod:
        """Return the period that holds the instant."""
        for period in reversed(self.stored):
            if period.start <= instant:
                return period if instant < period.end else first_period(instant, period.time_zone)
        return first_period(instant, self.stored[0].time_zone)

    def day_at(self, instant: datetime) -> date:
        """Return the day that holds the instant, of the days of its own period: no two periods share one."""
        period = self.at(instant)
        return period.days[period.day_number(instant)]

    def named(self, name: str) -> AccountPeriod:
        """Return the period called YYYY-MM. Raises ValueError for another form."""
        date.fromisoformat(f"{name}-01")
        for period in reversed(self.stored):
            if period.name <= name:
                return period if period.name == name else month_period(name, period.time_zone)
        return month_period(name, self.stored[0].time_zone)

    def after(self, period: AccountPeriod) -> AccountPeriod:
        """Return the period that follows one of these."""
        return self.at(period.end)

    def around(self, instant: datetime) -> tuple[AccountPeriod, AccountPeriod]:
        """Return the period that holds the instant and the next one, so that a rollover needs no look-up."""
        current = self.at(instant)
        return current, self.after(current)

    def near(self, instant: datetime) -> tuple[AccountPeriod, ...]:
        """Return the same, preceded by the previous period for its first two hours, for whoever's clock is behind."""
        earlier, current = self.around(instant - CLOCKS_APART)
        return (earlier, current) if instant < earlier.end else (earlier, current, self.after(current))
