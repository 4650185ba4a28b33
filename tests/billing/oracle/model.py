"""What an account's history is made of: plan versions, requests, usage, instants of finalizing."""

from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction

from tests.billing.oracle.tariff import Tariff


@dataclass(frozen=True)
class Version:
    """One version of a plan."""

    plan: str
    version: int
    rank: int
    price: Fraction | None
    quota: int | None
    tariff: Tariff | None = None
    currency: str = "EUR"

    @property
    def fee(self) -> Fraction:
        """Return the price of a month, in major units; 0 means without a fee."""
        return self.price or Fraction(0)

    @property
    def tax_percent(self) -> Fraction:
        return self.tariff.tax_percent if self.tariff else Fraction(0)


@dataclass(frozen=True)
class Choice:
    """The account chooses a plan version."""

    at: datetime
    target: Version


@dataclass(frozen=True)
class Undo:
    """The account takes back today's upgrade."""

    at: datetime


@dataclass(frozen=True)
class Withdrawal:
    """The account withdraws the pending change."""

    at: datetime


@dataclass(frozen=True)
class StaffMove:
    """Staff move the account at once."""

    at: datetime
    target: Version


@dataclass(frozen=True)
class ZoneChoice:
    """The account chooses another time zone for the next period."""

    at: datetime
    zone: str


@dataclass(frozen=True)
class ZoneWithdrawal:
    """The account withdraws the waiting time zone."""

    at: datetime


Request = Choice | Undo | Withdrawal | StaffMove | ZoneChoice | ZoneWithdrawal


@dataclass(frozen=True)
class Usage:
    """Units that count at an instant and were told at (or after) it."""

    at: datetime
    units: int
    told_at: datetime


@dataclass(frozen=True)
class History:
    """An account from its opening; one instant of finalizing for each period that is invoiced."""

    opened_at: datetime
    zone: str
    opening: Version
    requests: tuple[Request, ...] = ()
    usage: tuple[Usage, ...] = ()
    finalized: tuple[datetime, ...] = ()
