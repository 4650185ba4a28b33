"""The bearer token of a request (RFC 6750, 2.1)."""

MAX_TOKEN_CHARACTERS = 200
"""Longer ones are none of ours and are not looked up."""


def bearer_token(authorization: str) -> str | None:
    """Return the token of an Authorization header; None for another scheme, an empty token or one that is too long."""
    scheme, _, token = authorization.partition(" ")
    token = token.strip()
    return token if scheme.lower() == "bearer" and 0 < len(token) <= MAX_TOKEN_CHARACTERS else None
