"""Plans and histories as the worked figures of the plan model have them."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from portal.plans import AccountPeriod, ChangeKind, PeriodHistory, PlanChange, PlanTerms, Situation, month_period
from portal.plans.decide_change import decide_choice, decide_undo

NOVEMBER = month_period("2026-11", "UTC")
"""A month of 30 days."""


def plan(
    name: str,
    rank: int,
    price: str | int,
    *,
    quota: int | None = None,
    currency: str = "EUR",
    version: int = 1,
    tariff: dict[str, Any] | None = None,
) -> PlanTerms:
    """Return a plan; without a quota it is one with overage."""
    return PlanTerms(
        f"plan_{name}",
        version,
        rank,
        name,
        Decimal(price),
        currency,
        quota,
        quota is None,
        tariff or {},
    )


def tariff_of(free_units: int, *tiers: tuple[int | None, str]) -> dict[str, Any]:
    """Return a graduated tariff in EUR."""
    steps = [{"up_to": up_to and str(up_to), "unit": unit, "flat": "0"} for up_to, unit in tiers]
    charge = {"code": "units", "model": "graduated", "free_units": str(free_units), "tiers": steps}
    return {"currency": "EUR", "charges": [charge]}


FREE = plan("Free", 1, 0, quota=10_000)
PRO = plan("Pro", 2, 49, tariff=tariff_of(1_000_000, (9_000_000, "0.00006"), (None, "0.00004")))
ENTERPRISE = plan("Enterprise", 3, 990, tariff=tariff_of(50_000_000, (None, "0.000018")))
STARTER = (FREE, PRO, ENTERPRISE)


def at(day: int, hour: int = 12, minute: int = 0, *, period: AccountPeriod = NOVEMBER) -> datetime:
    """Return an instant of a period's day, counted from 1."""
    return period.start_of(day - 1) + timedelta(hours=hour, minutes=minute)


class Account:
    """An account that chooses plans, as the portal would let it; units are those of the period."""

    def __init__(self, start: PlanTerms | None, period: AccountPeriod = NOVEMBER) -> None:
        self.history = PeriodHistory(period, start)

    def situation(self, now: datetime, used: int = 0, used_today: int = 0) -> Situation:
        return Situation(self.history, now, used, used_today)

    def open(self, terms: PlanTerms, now: datetime) -> "Account":
        self._keep(PlanChange(now, ChangeKind.OPENING, terms, 0, now))
        return self

    def choose(self, terms: PlanTerms, now: datetime, *, used: int = 0, used_today: int = 0) -> "Account":
        self._keep(decide_choice(self.situation(now, used, used_today), terms))
        return self

    def undo(self, now: datetime, *, used: int = 0) -> "Account":
        self._keep(decide_undo(self.situation(now, used)).change)
        return self

    def move(self, terms: PlanTerms, now: datetime, kind: ChangeKind, *, used: int = 0) -> "Account":
        """Move without the refusal of what would need a credit note, as a process of the old version did."""
        self._keep(PlanChange(now, kind, terms, used, now))
        return self

    def _keep(self, change: PlanChange | None) -> None:
        if change is not None:
            self.history = self.history.with_change(change)


def amounts(fees: Iterable[Any]) -> list[str]:
    return [str(fee.amount) for fee in fees]


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)
