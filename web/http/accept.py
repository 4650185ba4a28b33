"""What a client accepts (RFC 9110, 12.4 and 12.5), for media types and encodings alike."""

from collections.abc import Iterator
from math import isfinite

from starlette.requests import Request


def parse_accept(header: str) -> Iterator[tuple[str, float]]:
    """Yield each accepted name in lower case with its weight, 0 to 1, in the client's order."""
    for part in header.split(","):
        name, *parameters = (piece.strip().lower() for piece in part.split(";"))
        yield name, _weight(parameters)


def accepts_gzip(request: Request) -> bool:
    """Return whether gzip is named with a weight above 0, or not named where `*` has one. Silence means no."""
    weights = {
        "gzip" if name == "x-gzip" else name: weight
        for name, weight in parse_accept(",".join(request.headers.getlist("Accept-Encoding")))
    }
    return weights.get("gzip", weights.get("*", 0.0)) > 0


def _weight(parameters: list[str]) -> float:
    """Return 1 where no weight is given, 0 for one that is not a number: what cannot be read is not wanted."""
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                weight = float(value)
            except ValueError:
                return 0.0
            return min(1.0, weight) if isfinite(weight) else 0.0
    return 1.0
