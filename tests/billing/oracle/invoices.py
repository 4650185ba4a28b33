"""The invoices of a history, one per period, in minor units."""

from dataclasses import dataclass, replace
from datetime import datetime
from fractions import Fraction

from tests.billing.oracle.course import Course
from tests.billing.oracle.model import History, Usage, Version
from tests.billing.oracle.money import groups_by_rate, taxes, to_minor
from tests.billing.oracle.state import Month
from tests.billing.oracle.tariff import price_of, usage_lines


@dataclass(frozen=True)
class Line:
    """A line: usage, upgrade (an opening's too), credit, fee (ahead), adjustment or carried over."""

    kind: str
    period: str
    plan: str
    version: int | None
    amount: int
    tax_percent: Fraction = Fraction(0)
    code: str = ""


@dataclass(frozen=True)
class Invoice:
    """What a period costs: net stops at 0, and what lies below is carried over by tax rate."""

    period: str
    lines: tuple[Line, ...]
    net: int
    tax: int
    rest: tuple[tuple[Fraction, int], ...]

    @property
    def total(self) -> int:
        return self.net + self.tax

    def sum_of(self, kind: str) -> int:
        """Return the sum of the lines of a kind."""
        return sum(line.amount for line in self.lines if line.kind == kind)


def invoices_of(history: History, course: Course | None = None) -> list[Invoice]:
    """Calculate all invoices of a history, in order."""
    course = course or Course(history)
    made: list[Invoice] = []
    rest: tuple[tuple[Fraction, int], ...] = ()
    for index, finalized_at in enumerate(history.finalized):
        month, following = course.months[index], course.months[index + 1]
        before = history.finalized[index - 1] if index else None
        lines = _usage(history.usage, month, finalized_at)
        for earlier in course.months[:index]:
            assert before is not None
            lines += _adjustments(history.usage, earlier, before, finalized_at)
        for fee in month.fees:
            lines.append(replace(_line(fee.kind, month, fee.version, fee.amount), tax_percent=fee.tax_percent))
        ahead = following.begins_with
        assert ahead is not None
        if ahead.fee:
            lines.append(_line("fee", following, ahead, to_minor(ahead.fee, ahead.currency)))
        lines += [Line("carried over", month.period.name, "", None, amount, rate) for rate, amount in rest]
        invoice = _closed(month.period.name, lines)
        made.append(invoice)
        rest = invoice.rest
    return made


def _closed(period: str, lines: list[Line]) -> Invoice:
    groups = groups_by_rate((line.tax_percent, line.amount) for line in lines)
    net, tax = sum(groups.values()), sum(taxes(groups).values())
    if net < 0 or net + tax < 0:
        return Invoice(period, tuple(lines), 0, 0, tuple((rate, rest) for rate, rest in groups.items() if rest))
    return Invoice(period, tuple(lines), net, tax, ())


def _usage(usage: tuple[Usage, ...], month: Month, told_until: datetime) -> list[Line]:
    of_days = len(month.period.days)
    lines: list[Line] = []
    for version, days in month.stretches().items():
        if version.tariff:
            units = _units(usage, month, version, told_until)
            priced = usage_lines(version.tariff, units, days, of_days)
            lines += [_line("usage", month, version, line.amount, line.code) for line in priced]
    return lines


def _adjustments(usage: tuple[Usage, ...], month: Month, before: datetime, after: datetime) -> list[Line]:
    of_days = len(month.period.days)
    by_plan: dict[tuple[str, Fraction], int] = {}
    for version, days in month.stretches().items():
        was, now = (_units(usage, month, version, until) for until in (before, after))
        if was == now:
            continue
        change = price_of(version.tariff, now, days, of_days) - price_of(version.tariff, was, days, of_days)
        key = version.plan, version.tax_percent
        by_plan[key] = by_plan.get(key, 0) + change
    return [Line("adjustment", month.period.name, plan, None, sum_, rate) for (plan, rate), sum_ in by_plan.items()]


def _units(usage: tuple[Usage, ...], month: Month, version: Version, told_until: datetime) -> int:
    """Return the units on a version's days that were told until an instant."""
    spans = [day for day in month.period.days if month.days.get(day.date) == version]
    return sum(e.units for e in usage if e.told_at < told_until and any(day.start <= e.at < day.end for day in spans))


def _line(kind: str, month: Month, version: Version, amount: int, code: str = "") -> Line:
    return Line(kind, month.period.name, version.plan, version.version, amount, version.tax_percent, code)
