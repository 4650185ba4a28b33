"""What an account has at an instant, and what it had in a period."""

from dataclasses import dataclass, field
from datetime import date, datetime
from fractions import Fraction

from tests.billing.oracle.model import Request, Version
from tests.billing.oracle.periods import Period


@dataclass(frozen=True)
class FeeLine:
    """A fee of an upgrade or opening, or the credit of a staff move (negative): exact, and in minor units."""

    kind: str
    version: Version
    exact: Fraction
    amount: int
    tax_percent: Fraction


@dataclass(frozen=True)
class State:
    """What an undo brings back."""

    version: Version
    bound: int | None
    pending: Version | None = None
    charged: tuple[Fraction, ...] = ()
    charged_tax: Fraction = Fraction(0)  # of the dearest price charged
    fees: tuple[FeeLine, ...] = ()
    held: tuple[Version, ...] = ()
    currency: str | None = None


@dataclass(frozen=True)
class Decision:
    """What became of a request."""

    request: Request
    outcome: str
    reason: str = ""
    bound: int | None = None  # from then on


@dataclass
class Month:
    """A period and what the account had in it."""

    period: Period
    begins_with: Version | None
    days: dict[date, Version] = field(default_factory=dict)
    bounds: list[tuple[datetime, int | None]] = field(default_factory=list)
    fees: tuple[FeeLine, ...] = ()

    def stretches(self) -> dict[Version, int]:
        """Return each version with the number of its days, in order of the first."""
        found: dict[Version, int] = {}
        for version in self.days.values():
            found[version] = found.get(version, 0) + 1
        return found
