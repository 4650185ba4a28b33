"""The weight that a client gives to one of the things that it accepts (RFC 9110, 12.4.2)."""

from collections.abc import Iterable
from math import isfinite


def quality_of(parameters: Iterable[str]) -> float:
    """1 where none is given, 0 for one that is no number: what cannot be read is not wanted."""
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                quality = float(value)
            except ValueError:
                return 0.0
            return min(1.0, quality) if isfinite(quality) else 0.0
    return 1.0
