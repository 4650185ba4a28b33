"""How a key's state is told: a colour and words, never the colour alone. Pure."""

from datetime import datetime, timedelta
from typing import Any, NamedTuple

from web.pages.framework import parse_instant

SOON = timedelta(days=7)


class State(NamedTuple):
    tone: str
    text: str


_PLAIN = {"REVOKED": State("bad", "Revoked"), "EXPIRED": State("bad", "Expired"), "PAUSED": State("idle", "Paused")}


def key_state(key: dict[str, Any], now: datetime) -> State:
    """`key` has status, expiresAt and secrets { isCurrent endsAt }."""
    plain = _PLAIN.get(key["status"])
    if plain is not None:
        return plain
    if key["expiresAt"] and parse_instant(key["expiresAt"]) - now <= SOON:
        return State("warn", "Expires soon")
    return State("warn", "Rotating") if ending_secrets(key, now) else State("good", "Active")


def ending_secrets(key: dict[str, Any], now: datetime) -> list[dict[str, Any]]:
    """Older secrets that still verify."""
    return [
        secret
        for secret in key["secrets"]
        if not secret["isCurrent"] and secret["endsAt"] and parse_instant(secret["endsAt"]) > now
    ]
