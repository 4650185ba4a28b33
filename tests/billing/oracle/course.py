"""An account's plans over time: each request is decided in its turn, each day gets the plan at its end."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from fractions import Fraction

from tests.billing.oracle.model import (
    Choice,
    History,
    Request,
    StaffMove,
    Undo,
    Version,
    Withdrawal,
    ZoneChoice,
    ZoneWithdrawal,
)
from tests.billing.oracle.money import to_minor
from tests.billing.oracle.periods import first_period, next_period
from tests.billing.oracle.state import Decision, FeeLine, Month, State
from tests.billing.oracle.tariff import share_of


class Course:
    """Plays a history from its opening to the end of one period more than is invoiced."""

    def __init__(self, history: History) -> None:
        self.history = history
        self.decisions: list[Decision] = []
        self.zone = history.zone
        self.next_zone: str | None = None
        self.zone_chosen = False
        self.undone = False
        self.undoable: list[State] = []  # what each upgrade of today replaced
        self.month = Month(first_period(history.opened_at, history.zone), None)
        self.months = [self.month]
        self.today = self.month.period.position(history.opened_at)
        self.state = State(history.opening, None, currency=_currency_of(history.opening))
        self._open(history.opening)
        for request in sorted(history.requests, key=lambda one: one.at):
            self._pass_to(request.at)
            decision = self._decide(request)
            self.decisions.append(replace(decision, bound=self.state.bound))
            if self.month.bounds[-1][1] != self.state.bound:
                self.month.bounds.append((request.at, self.state.bound))
        while len(self.months) <= len(history.finalized):
            self._pass_to(self.month.period.end)
        self.month.fees = self.state.fees

    def bound_at(self, instant: datetime) -> int | None:
        """Return the units of the period above which a check is denied; None denies nothing."""
        month = next(month for month in self.months if month.period.start <= instant < month.period.end)
        return [bound for at, bound in month.bounds if at <= instant][-1]

    # passing time

    def _open(self, version: Version) -> None:
        self.state = replace(self.state, charged=(Fraction(0),))
        bound = self._bound_of(version, self.history.opened_at)
        if version.fee:
            self._charge(version)
        self.state = replace(self.state, bound=bound)
        self.month.bounds.append((self.month.period.start, bound))

    def _pass_to(self, instant: datetime) -> None:
        while self.month.period.days[self.today].end <= instant:
            self.month.days[self.month.period.days[self.today].date] = self.state.version
            self.undoable = []
            self.today += 1
            if self.today == len(self.month.period.days):
                self._next_month()

    def _next_month(self) -> None:
        self.month.fees = self.state.fees
        self.zone = self.next_zone or self.zone
        version = self.state.pending or self.state.version
        self.month = Month(next_period(self.month.period, self.zone), version)
        self.months.append(self.month)
        self.today = 0
        self.next_zone, self.zone_chosen, self.undone = None, False, False
        currency = self.state.currency or _currency_of(version)
        self.state = State(
            version, version.quota, charged=(version.fee,), charged_tax=version.tax_percent, currency=currency
        )
        self.month.bounds.append((self.month.period.start, version.quota))

    # deciding

    def _decide(self, request: Request) -> Decision:
        match request:
            case Choice(target=target):
                return Decision(request, *self._choose(target, request.at))
            case StaffMove(target=target):
                return Decision(request, *self._move(target, request.at))
            case Undo():
                return Decision(request, *self._undo(request.at))
            case Withdrawal():
                return Decision(request, *self._withdraw())
            case ZoneChoice(zone=zone):
                return Decision(request, *self._choose_zone(zone))
            case ZoneWithdrawal():
                outcome = "zone withdrawn" if self.next_zone else "nothing"
                self.next_zone = None
                return Decision(request, outcome)

    def _choose(self, target: Version, at: datetime) -> tuple[str, str]:
        present = self.state.version
        if target == present:
            return self._withdraw()
        if self._is_foreign(target):
            return "refused", "currency"
        if target.rank <= present.rank:
            if target == self.state.pending:
                return "nothing", ""
            self.state = replace(self.state, pending=target)
            return "downgrade", ""
        if self._is_too_much_today(target, at):
            return "refused", "tomorrow"
        self.undoable.append(self.state)
        self._upgrade(target, at)
        return "upgrade", ""

    def _withdraw(self) -> tuple[str, str]:
        outcome = "withdrawal" if self.state.pending else "nothing"
        self.state = replace(self.state, pending=None)
        return outcome, ""

    def _undo(self, at: datetime) -> tuple[str, str]:
        if not self.undoable:
            return "refused", "no upgrade today"
        before = self.undoable[-1]
        fits = before.bound is None or self._used(at) <= before.bound
        if self.undone or not fits:
            self.state = replace(self.state, pending=before.version)
            return "downgrade", "second undo" if self.undone else "does not fit"
        self.undoable.pop()
        self.undone = True
        self.state = before
        return "undo", ""

    def _move(self, target: Version, at: datetime) -> tuple[str, str]:
        present = self.state.version
        if target == present:
            return "nothing", ""
        if self._is_foreign(target):
            return "refused", "currency"
        if target.rank == present.rank:
            return "refused", "same plan"
        if target.rank > present.rank:
            if self._is_too_much_today(target, at):
                return "refused", "tomorrow"
            self._upgrade(target, at)
        else:
            less = max(Fraction(0), max(self.state.charged) - target.fee)
            if less and target.fee < self._charged_ahead():
                return "refused", "credit note"
            self._take(target, self._bound_of(target, at))
            self._add_line("credit", target, -less, self.state.charged_tax)
            self.state = replace(self.state, charged=tuple(min(price, target.fee) for price in self.state.charged))
        self.undoable = []
        return "move", ""

    def _choose_zone(self, zone: str) -> tuple[str, str]:
        if zone == self.zone and not self.next_zone:
            return "nothing", ""
        if self.zone_chosen:
            return "refused", "once a period"
        self.next_zone, self.zone_chosen = zone, True
        return "zone", ""

    # effects

    def _upgrade(self, target: Version, at: datetime) -> None:
        kept = self.state.bound
        bound = self._bound_of(target, at)
        if kept is not None and bound is not None:
            bound = max(kept, bound)
        self._take(target, bound)
        self._charge(target)

    def _take(self, target: Version, bound: int | None) -> None:
        self.state = replace(
            self.state,
            version=target,
            bound=bound,
            pending=None,
            held=(*self.state.held, self.state.version),
            currency=self.state.currency or _currency_of(target),
        )

    def _charge(self, version: Version) -> None:
        self._add_line("upgrade", version, max(Fraction(0), version.fee - max(self.state.charged)), version.tax_percent)
        is_dearest = version.fee > max(self.state.charged)
        tax = version.tax_percent if is_dearest else self.state.charged_tax
        self.state = replace(self.state, charged=(*self.state.charged, version.fee), charged_tax=tax)

    def _add_line(self, kind: str, version: Version, price: Fraction, tax_percent: Fraction) -> None:
        """Add a line for the days left: the period's exact fees so far, rounded, less the lines before it."""
        exact = price * self._left() / len(self.month.period.days)
        before = self.state.fees
        total = to_minor(sum((line.exact for line in before), exact), self.state.currency or version.currency)
        line = FeeLine(kind, version, exact, total - sum(line.amount for line in before), tax_percent)
        self.state = replace(self.state, fees=(*before, line))

    def _bound_of(self, target: Version, at: datetime) -> int | None:
        """Return the bound that a plan taken today has by itself."""
        if target.quota is None or not target.fee or self._has_all_days(target):
            return target.quota
        return self._share_left(target) + self._kept_usage(at)

    def _kept_usage(self, at: datetime) -> int:
        allowed = 0
        for version in self._held_earlier():
            own_days = sum(1 for other in self.month.days.values() if other == version)
            if version.quota is None:
                return self._used(at)
            allowed += share_of(version.quota, own_days, len(self.month.period.days)) if version.fee else version.quota
        return min(self._used(at), allowed)

    def _held_earlier(self) -> Iterator[Version]:
        opened_now = not self.month.bounds  # the opening itself comes after nothing
        if not opened_now:
            yield from dict.fromkeys((*self.state.held, self.state.version))

    # questions

    def _left(self) -> int:
        """Return the days left in the period, today included."""
        return len(self.month.period.days) - self.today

    def _has_all_days(self, target: Version) -> bool:
        earlier = list(self.month.days.values())
        return len(earlier) == self.today and all(version == target for version in earlier)

    def _share_left(self, target: Version) -> int:
        assert target.quota is not None
        return share_of(target.quota, self._left(), len(self.month.period.days))

    def _used(self, at: datetime) -> int:
        """Return the units of the period that were told before an instant."""
        period = self.month.period
        return sum(e.units for e in self.history.usage if e.told_at < at and period.start <= e.at < period.end)

    def _is_too_much_today(self, target: Version, at: datetime) -> bool:
        if self.state.version.quota is not None or target.quota is None:
            return False
        day = self.month.period.days[self.today]
        used = sum(e.units for e in self.history.usage if e.told_at < at and day.start <= e.at < day.end)
        return used > self._share_left(target)

    def _charged_ahead(self) -> Fraction:
        return self.month.begins_with.fee if self.month.begins_with else Fraction(0)

    def _is_foreign(self, target: Version) -> bool:
        return bool(self.state.currency and target.currency != self.state.currency)


def _currency_of(version: Version) -> str | None:
    return version.currency if version.fee or version.tariff else None
