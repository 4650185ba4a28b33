"""Pure rules of keys: what their fields may hold, their status, overrides of their limits, their settings' version.

*Overrides* are what the provider's staff put in the place of a plan's limit for one key, kept in `keys.overrides` as
JSON objects. Only a limit that is counted for each key can be replaced: the state of an account's limit belongs to all
of its keys. One that the plan has no more, or that has ended, changes nothing.

*The version* of a key's settings is what somebody saw when they began to change them: a digest of each setting, side
by side, so it needs no column, holds for changes that any other process made, and tells which settings differ. Saving
with an older one is refused: a stale page never lifts an allow-list that somebody has set meanwhile.
"""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from typing import Any

from portal.core.addresses import InvalidAddress, parse_network
from portal.core.errors import Invalid
from portal.core.texts import check_reason
from portal.keys.models import Key
from portal.plans import Limit

MAX_SCOPES = 50
MAX_IPS = 50
ATTRIBUTES_BYTES = 4096
MAX_LIMITS = 5
MAX_LIMIT_AMOUNT = 1_000_000
MAX_LIMIT_WINDOW_MS = 24 * 60 * 60 * 1000
MAX_OVERRIDE_AMOUNT = 1_000_000_000
MIN_OVERRIDE_WINDOW_MS, MAX_OVERRIDE_WINDOW_MS = 100, 31 * 24 * 60 * 60 * 1000
MAX_REASON = 500
DIGEST_CHARACTERS = 8
SETTINGS = {
    "name": "name",
    "scopes": "scopes",
    "allowed_ips": "allowed addresses",
    "attributes": "metadata",
    "expires_at": "expiry",
    "limits": "own limits",
}
"""The settings with the names that people read."""
_SCOPE = re.compile(r"^[a-z0-9*][a-z0-9_.*-]*(:[a-z0-9*][a-z0-9_.*-]*)*$")
_LIMIT_NAME = re.compile(r"^[a-z0-9][a-z0-9-]{0,29}$")


@dataclass(frozen=True, slots=True)
class KeyLimit:
    """A limit of a key's own, beside its plan's: at most `amount` units in any `window_ms`."""

    name: str
    amount: int
    window_ms: int


class KeyStatus(StrEnum):
    ACTIVE = "active"
    PAUSED = "paused"
    EXPIRED = "expired"
    REVOKED = "revoked"


def key_status(key: Key, now: datetime) -> KeyStatus:
    if key.revoked_at is not None:
        return KeyStatus.REVOKED
    if key.expires_at is not None and now >= key.expires_at:
        return KeyStatus.EXPIRED
    return KeyStatus.PAUSED if key.paused_at is not None else KeyStatus.ACTIVE


def check_scopes(scopes: Sequence[str]) -> list[str]:
    """Return the scopes sorted, without duplicates. Raises Invalid."""
    if len(scopes) > MAX_SCOPES:
        raise Invalid(f"A key has at most {MAX_SCOPES} scopes.", path=("scopes",))
    for scope in scopes:
        if len(scope) > 100 or not _SCOPE.fullmatch(scope):
            raise Invalid(f"{scope[:100]!r} is not a scope.", hint="Write it like search:read.", path=("scopes",))
    return sorted(set(scopes))


def check_ips(ranges: Sequence[str]) -> list[str]:
    """Return addresses and networks in their canonical spelling. Raises Invalid."""
    if len(ranges) > MAX_IPS:
        raise Invalid(f"A key has at most {MAX_IPS} address ranges.", path=("allowedIps",))
    try:
        return sorted({str(parse_network(text)) for text in ranges})
    except InvalidAddress as error:
        raise Invalid(f"{error}", hint=error.hint, path=("allowedIps",)) from None


def check_attributes(attributes: dict[str, Any]) -> dict[str, Any]:
    """Return a JSON object of at most 4 KiB. Raises Invalid."""
    if len(json.dumps(attributes).encode()) > ATTRIBUTES_BYTES:
        raise Invalid(f"Metadata is larger than {ATTRIBUTES_BYTES} bytes.", path=("metadata",))
    return attributes


def check_limits(limits: Sequence[KeyLimit]) -> list[dict[str, str | int]]:
    """Return the limits as they are stored. Raises Invalid."""
    if len(limits) > MAX_LIMITS or len({limit.name for limit in limits}) < len(limits):
        raise Invalid(f"A key has at most {MAX_LIMITS} limits of its own, each with another name.", path=("limits",))
    for limit in limits:
        if not _LIMIT_NAME.fullmatch(limit.name):
            raise Invalid(f"{limit.name[:50]!r} is no name of a limit.", hint="Write it like hourly.", path=("limits",))
        if not 1 <= limit.amount <= MAX_LIMIT_AMOUNT or not 1000 <= limit.window_ms <= MAX_LIMIT_WINDOW_MS:
            raise Invalid("A limit is 1 to 1,000,000 units in 1 second to 1 day.", path=("limits",))
    return [{"name": limit.name, "amount": limit.amount, "window_ms": limit.window_ms} for limit in limits]


def check_expiry(expires_at: datetime | None, now: datetime) -> datetime | None:
    if expires_at is not None and expires_at.tzinfo is None:
        raise Invalid("The expiry has no time zone.", hint="Write it like 2027-01-31T00:00:00Z.", path=("expiresAt",))
    if expires_at is not None and expires_at <= now:
        raise Invalid("The expiry lies in the past.", path=("expiresAt",))
    return expires_at


@dataclass(frozen=True, slots=True)
class LimitOverride:
    """At most `amount` units in any `window_ms` in place of the plan's limit `name`; `expires_at` None: for good.

    `burst` is a token bucket's; None: `amount`.
    """

    name: str
    amount: int
    window_ms: int
    burst: int | None
    reason: str
    made_by: str
    made_at: datetime
    expires_at: datetime | None

    def is_in_force(self, now: datetime) -> bool:
        return self.expires_at is None or now < self.expires_at


def overrides_of(key: Key, now: datetime) -> list[LimitOverride]:
    """Return the overrides in force."""
    stored = [
        LimitOverride(**entry | {name: _instant(entry[name]) for name in ("made_at", "expires_at")})
        for entry in key.overrides
    ]
    return [override for override in stored if override.is_in_force(now)]


def own_limits(key: Key) -> list[Limit]:
    """Return the limits that the key has besides its plan's, named apart from those."""
    return [Limit(f"own-{limit['name']}", limit["amount"], limit["window_ms"]) for limit in key.limits]


def with_overrides(limits: Iterable[Limit], overrides: Sequence[LimitOverride]) -> list[Limit]:
    """Return the plan's limits as they apply to the key, in their order."""
    by_name = {override.name: override for override in overrides}
    return [_replaced(limit, by_name.get(limit.name)) for limit in limits]


def check_override(override: LimitOverride, limits: Sequence[Limit], now: datetime) -> None:
    """Refuse an override that the plan or the bounds do not allow. Raises Invalid with the field."""
    of_keys = [limit for limit in limits if limit.per == "key"]
    limit = next((limit for limit in of_keys if limit.name == override.name), None)
    if limit is None:
        names = ", ".join(limit.name for limit in of_keys) or "none"
        raise Invalid(
            f"The account's plan has no limit {override.name[:50]!r} that is counted for each key.",
            hint=f"It has: {names}.",
            path=("name",),
        )
    _check_numbers(override, limit)
    if not override.reason or len(override.reason) > MAX_REASON:
        raise Invalid(f"A reason has 1 to {MAX_REASON} characters.", path=("reason",))
    check_reason(override.reason, MAX_REASON)
    if override.expires_at is not None and override.expires_at <= now:
        raise Invalid("The end lies in the past.", path=("expiresAt",))


def stored_overrides(overrides: Iterable[LimitOverride]) -> tuple[list[dict[str, Any]], datetime | None]:
    """Return them as JSON, by name, and when the next of them ends."""
    ordered = sorted(overrides, key=lambda override: override.name)
    ends = min((override.expires_at for override in ordered if override.expires_at is not None), default=None)
    return [_json(override) for override in ordered], ends


def _check_numbers(override: LimitOverride, limit: Limit) -> None:
    if not 1 <= override.amount <= MAX_OVERRIDE_AMOUNT:
        raise Invalid(f"An amount is 1 to {MAX_OVERRIDE_AMOUNT:,} units.", path=("amount",))
    if not MIN_OVERRIDE_WINDOW_MS <= override.window_ms <= MAX_OVERRIDE_WINDOW_MS:
        raise Invalid("A window is 100 ms to 31 days.", path=("windowMs",))
    if override.burst is None:
        return
    if limit.algorithm != "token_bucket" or not 1 <= override.burst <= MAX_OVERRIDE_AMOUNT:
        message = f"A burst is 1 to {MAX_OVERRIDE_AMOUNT:,} units, and only a token bucket has one."
        raise Invalid(message, path=("burst",))


def _replaced(limit: Limit, override: LimitOverride | None) -> Limit:
    if override is None or limit.per != "key":
        return limit
    return replace(limit, amount=override.amount, window_ms=override.window_ms, burst=override.burst)


def _json(override: LimitOverride) -> dict[str, Any]:
    ends = override.expires_at.isoformat() if override.expires_at is not None else None
    return asdict(override) | {"made_at": override.made_at.isoformat(), "expires_at": ends}


def _instant(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def settings_version(key: Key) -> str:
    """Return the version of the key's settings: it changes with each of them."""
    return "".join(_digest(getattr(key, field)) for field in SETTINGS)


def changed_since(version: str, key: Key) -> list[str]:
    """Return the names of the settings that differ from the version; all of them if it is none of ours."""
    current = settings_version(key)
    if len(version) != len(current):
        return [*SETTINGS.values()]
    places = range(0, len(current), DIGEST_CHARACTERS)
    return [
        name
        for name, place in zip(SETTINGS.values(), places, strict=True)
        if version[place : place + DIGEST_CHARACTERS] != current[place : place + DIGEST_CHARACTERS]
    ]


def _digest(value: object) -> str:
    return sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:DIGEST_CHARACTERS]
