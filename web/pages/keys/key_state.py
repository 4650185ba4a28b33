"""A key's state in words and a colour, never the colour alone. Pure."""

from datetime import datetime, timedelta
from typing import Any, NamedTuple

from web.pages.framework import parse_instant

SOON = timedelta(days=7)


class State(NamedTuple):
    """What a badge shows; `tone` is good, warn, bad or idle."""

    tone: str
    text: str


_PLAIN = {"REVOKED": State("bad", "Revoked"), "EXPIRED": State("bad", "Expired"), "PAUSED": State("idle", "Paused")}


def key_state(key: dict[str, Any], now: datetime) -> State:
    """Return the state of a key with status, expiresAt and secrets { isCurrent endsAt }."""
    plain = _PLAIN.get(key["status"])
    if plain is not None:
        return plain
    if key["expiresAt"] and parse_instant(key["expiresAt"]) - now <= SOON:
        return State("warn", "Expires soon")
    return State("warn", "Rotating") if ending_secrets(key, now) else State("good", "Active")


def ending_secrets(key: dict[str, Any], now: datetime) -> list[dict[str, Any]]:
    """Return the older secrets that are still accepted."""
    return [
        secret
        for secret in key["secrets"]
        if not secret["isCurrent"] and secret["endsAt"] and parse_instant(secret["endsAt"]) > now
    ]
