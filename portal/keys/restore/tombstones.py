"""What Redis remembers of each change to a key, in case PostgreSQL is restored to a time before it.

A tombstone is the state of a key or of one of its secrets as JSON, by its id. It travels with the policy version into
the account's record in Redis. After a restore it can only take away: a key that was revoked stays revoked, a secret
that ended stays ended, and nothing becomes valid by it.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from portal.core.clock import from_microseconds, to_microseconds
from portal.keys.models import Key, KeySecret

Tombstones = dict[str, dict[str, Any]]


class KeyTombstone(msgspec.Struct, frozen=True):
    """Instants in µs; None: never. An empty `allowed_ips` lets every address."""

    revoked_us: int | None = None
    paused_us: int | None = None
    expires_us: int | None = None
    scopes: tuple[str, ...] = ()
    allowed_ips: tuple[str, ...] = ()


class SecretTombstone(msgspec.Struct, frozen=True):
    """When a secret ends, in µs; None: it does not."""

    key_id: str
    ends_us: int | None = None


def tombstones_of(key: Key, secrets: Sequence[KeySecret] = ()) -> Tombstones:
    """Return the tombstones of a key as it is now, and of those of its secrets that changed with it."""
    state = KeyTombstone(
        _us(key.revoked_at), _us(key.paused_at), _us(key.expires_at), tuple(key.scopes), tuple(key.allowed_ips)
    )
    of_secrets = {secret.id: msgspec.to_builtins(SecretTombstone(key.id, _us(secret.ends_at))) for secret in secrets}
    return {key.id: msgspec.to_builtins(state)} | of_secrets


def read_key_tombstone(tombstones: Mapping[str, Any], key_id: str) -> KeyTombstone | None:
    """Return the tombstone of a key, None where there is none that this version reads."""
    try:
        return msgspec.convert(tombstones[key_id], KeyTombstone)
    except (KeyError, msgspec.ValidationError):
        return None


def read_secret_tombstone(tombstones: Mapping[str, Any], secret_id: str) -> SecretTombstone | None:
    """Return the tombstone of a secret, None where there is none that this version reads."""
    try:
        return msgspec.convert(tombstones[secret_id], SecretTombstone)
    except (KeyError, msgspec.ValidationError):
        return None


def earlier(first: int | None, second: int | None) -> int | None:
    """Return the earlier of two instants, None being never."""
    return min(first, second) if first is not None and second is not None else first if second is None else second


def common_scopes(scopes: Sequence[str], remembered: Sequence[str]) -> list[str]:
    """Return the scopes that both states have."""
    return [scope for scope in scopes if scope in remembered]


def common_ips(ips: Sequence[str], remembered: Sequence[str]) -> list[str]:
    """Return the address ranges that both states let in, where an empty list lets in all.

    Where two lists have nothing in common it is the remembered one, which is the newer.
    """
    if not ips or not remembered:
        return [*(remembered or ips)]
    return [ip for ip in ips if ip in remembered] or [*remembered]


def narrow_key(key: Key, state: KeyTombstone) -> dict[str, Any]:
    """Take from a key what its tombstone takes; return what changed, for the audit log."""
    changed: dict[str, Any] = {}
    revoked_at = earlier(_us(key.revoked_at), state.revoked_us)
    paused_us = earlier(_us(key.paused_at), state.paused_us)
    wanted: dict[str, Any] = {
        "revoked_at": key.revoked_at or _at(revoked_at),
        "paused_at": key.paused_at or _at(paused_us),
        "expires_at": _at(earlier(_us(key.expires_at), state.expires_us)),
        "scopes": common_scopes(key.scopes, state.scopes),
        "allowed_ips": common_ips(key.allowed_ips, state.allowed_ips),
    }
    for name, value in wanted.items():
        if getattr(key, name) != value:
            setattr(key, name, value)
            changed[name] = value.isoformat() if isinstance(value, datetime) else value
    return changed


def narrow_secret(secret: KeySecret, state: SecretTombstone) -> bool:
    """End a secret when its tombstone says; return whether that is earlier than before."""
    ends_at = _at(earlier(_us(secret.ends_at), state.ends_us))
    if ends_at == secret.ends_at:
        return False
    secret.ends_at = ends_at
    return True


def _us(at: datetime | None) -> int | None:
    return to_microseconds(at) if at is not None else None


def _at(us: int | None) -> datetime | None:
    return from_microseconds(us) if us is not None else None
