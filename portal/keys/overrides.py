"""Overrides: what the provider's staff put in the place of a plan's limit for one key. Pure rules.

Only a limit that is counted for each key can be replaced: the state of an account's limit belongs to all of its keys.
One that the plan has no more, or that has ended, changes nothing. Kept in `keys.overrides` as JSON objects.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from portal.core.errors import Invalid
from portal.core.texts import check_reason
from portal.keys.models import Key
from portal.plans import Limit

MAX_AMOUNT = 1_000_000_000
MIN_WINDOW_MS, MAX_WINDOW_MS = 100, 31 * 24 * 60 * 60 * 1000
MAX_REASON = 500


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
    if not 1 <= override.amount <= MAX_AMOUNT:
        raise Invalid(f"An amount is 1 to {MAX_AMOUNT:,} units.", path=("amount",))
    if not MIN_WINDOW_MS <= override.window_ms <= MAX_WINDOW_MS:
        raise Invalid("A window is 100 ms to 31 days.", path=("windowMs",))
    if override.burst is not None and (limit.algorithm != "token_bucket" or not 1 <= override.burst <= MAX_AMOUNT):
        raise Invalid(f"A burst is 1 to {MAX_AMOUNT:,} units, and only a token bucket has one.", path=("burst",))


def _replaced(limit: Limit, override: LimitOverride | None) -> Limit:
    if override is None or limit.per != "key":
        return limit
    return replace(limit, amount=override.amount, window_ms=override.window_ms, burst=override.burst)


def _json(override: LimitOverride) -> dict[str, Any]:
    ends = override.expires_at.isoformat() if override.expires_at is not None else None
    return asdict(override) | {"made_at": override.made_at.isoformat(), "expires_at": ends}


def _instant(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
