"""Minor units, rounding, tax by groups and discounts by largest fraction."""

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction

MINOR_DIGITS = {"EUR": 2, "USD": 2, "JPY": 0, "KWD": 3}


def half_away(value: Fraction) -> int:
    """Round to a whole number, half away from zero."""
    floor = (abs(value) * 2 + 1) // 2
    return int(floor if value >= 0 else -floor)


def to_minor(amount: Fraction, currency: str) -> int:
    """Round an amount in major units to minor units, half away from zero."""
    return half_away(amount * 10 ** MINOR_DIGITS[currency])


def ceil(value: Fraction) -> int:
    """Round up to a whole number."""
    return int(-(-value // 1))


def groups_by_rate(amounts: Iterable[tuple[Fraction, int]]) -> dict[Fraction, int]:
    """Add amounts in minor units by their tax rate, lowest rate first."""
    groups: dict[Fraction, int] = {}
    for rate, amount in amounts:
        groups[rate] = groups.get(rate, 0) + amount
    return dict(sorted(groups.items()))


def taxes(groups: Mapping[Fraction, int]) -> dict[Fraction, int]:
    """Return the tax on each group, exclusive, in minor units."""
    return {rate: half_away(net * rate / 100) for rate, net in groups.items()}


def spread(discount: int, amounts: Sequence[int]) -> list[int]:
    """Divide a discount over amounts in proportion, remainders by largest fraction, then by order."""
    total = sum(amounts)
    exact = [Fraction(discount * amount, total) for amount in amounts]
    parts = [int(part // 1) for part in exact]
    by_fraction = sorted(range(len(exact)), key=lambda index: (parts[index] - exact[index], index))
    for index in by_fraction[: discount - sum(parts)]:
        parts[index] += 1
    return parts
