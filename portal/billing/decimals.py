"""Numbers in documents and on command lines: written out, and with so few digits that arithmetic stays exact."""

import re
from decimal import Decimal

from portal.core.errors import Invalid
from portal.core.money import EXACT

ZERO = Decimal(0)
MAX_DECIMALS = 12
MAX_DIGITS = 15
"""Before the point."""

WRITTEN_OUT = re.compile(r"-?([0-9]+)(?:\.([0-9]+))?")


def signed_decimal_from(value: object, path: tuple[str, ...] = ()) -> Decimal:
    """Return the number that an integer or a string like "-0.002" says.

    Raises Invalid for what is neither, for a float, since it is not what was written, and for too many digits.
    """
    if isinstance(value, float):
        raise Invalid("A float is not exact.", hint='Write the number as a string, like "0.002".', path=path)
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise Invalid("This is no number.", hint='Write it like "0.002".', path=path)
    if isinstance(value, int):
        return _within(Decimal(value), path)
    found = WRITTEN_OUT.fullmatch(value)
    if found is None:
        raise Invalid("This is no number.", hint='Write it out, like "0.002".', path=path)
    if len(found[2] or "") > MAX_DECIMALS:
        raise Invalid("The number has too many decimals.", hint=f"At most {MAX_DECIMALS}.", path=path)
    return _within(Decimal(value), path)


def decimal_from(value: object, path: tuple[str, ...] = ()) -> Decimal:
    """Return a number of 0 or more, read as by `signed_decimal_from`. Raises Invalid."""
    number = signed_decimal_from(value, path)
    if number < 0:
        raise Invalid("The number is below 0.", hint="Write 0 or more.", path=path)
    return number


def format_decimal(number: Decimal) -> str:
    """Write a number in the one form that equal numbers share: no exponent, no zeros at the end."""
    return format(number.normalize(EXACT), "f")


def _within(number: Decimal, path: tuple[str, ...]) -> Decimal:
    if not number:
        return ZERO  # without the sign of "-0"
    if number.adjusted() >= MAX_DIGITS:
        hint = f"At most {MAX_DIGITS} digits before the point."
        raise Invalid("The number is too large.", hint=hint, path=path)
    return number
