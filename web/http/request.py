"""What a request says: whom it comes from, its bearer token, what it accepts (RFC 9110, 12.4 and 12.5), its body."""

from collections.abc import Iterator, Sequence
from math import isfinite
from typing import NamedTuple

from starlette.requests import HTTPConnection, Request

HTML, JSON, PROBLEM_JSON = "text/html", "application/json", "application/problem+json"
EXACT = 2


class Preference(NamedTuple):
    """How much a media type is wanted, and how exactly it is named: EXACT, 1 for `text/*`, 0 for `*/*`."""

    weight: float
    precision: int


def preference_of(accept: str, media_type: str) -> Preference:
    """Return what an Accept header says of a media type. The most exact range decides: `*/*, a/b;q=0` refuses a/b."""
    ranges = {media_type: EXACT, f"{media_type.partition('/')[0]}/*": 1, "*/*": 0}
    found = [Preference(weight, ranges[name]) for name, weight in parse_accept(accept) if name in ranges]
    precision = max((preference.precision for preference in found), default=-1)
    return max((each for each in found if each.precision == precision), default=Preference(0.0, 0))


def preferred_type(accept: str, offers: Sequence[str]) -> str | None:
    """Return the offer that is wanted most; of equals the one named most exactly, then the first.

    Without the header the first; None where none will do.
    """
    if not accept.strip():
        return offers[0]
    preferences = {offer: preference_of(accept, offer) for offer in offers}
    best = max(offers, key=lambda offer: preferences[offer])
    return best if preferences[best].weight > 0 else None


def accept_of(request: Request) -> str:
    """Return the request's Accept header, its lines joined."""
    return ",".join(request.headers.getlist("Accept"))


def wants_html(request: Request) -> bool:
    """Return whether a person looks at the answer, as opposed to a program."""
    return preferred_type(accept_of(request), (PROBLEM_JSON, JSON, HTML)) == HTML


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


def client_address(connection: HTTPConnection) -> str | None:
    """Return the caller's address: the other end of the connection, or whom trusted proxies name (web.middleware)."""
    return connection.client.host if connection.client else None


MAX_TOKEN_CHARACTERS = 200
"""Longer ones are none of ours and are not looked up."""


def bearer_token(authorization: str) -> str | None:
    """Return the token of an Authorization header; None for another scheme, an empty token or one that is too long."""
    scheme, _, token = authorization.partition(" ")
    token = token.strip()
    return token if scheme.lower() == "bearer" and 0 < len(token) <= MAX_TOKEN_CHARACTERS else None


async def read_body(request: Request, max_bytes: int) -> bytes | None:
    """Return the body; None when it is larger than `max_bytes`, and the rest is not read.

    Raises ClientDisconnect when the client leaves before the end; there is nobody to answer then.
    """
    length = request.headers.get("Content-Length", "")
    if length.isdecimal() and int(length) > max_bytes:
        return None
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > max_bytes:
            return None
    return bytes(body)
