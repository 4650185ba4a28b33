"""Override a limit: staff give one key another amount or window than its plan, for a while or for good."""

from dataclasses import dataclass
from datetime import datetime

from portal import audit
from portal.accounts import bump_policy_version
from portal.core.actor import Actor, Permission, requires
from portal.core.database import Tx
from portal.core.errors import Invalid
from portal.keys import store
from portal.keys.events import KeyAction, KeyChanged
from portal.keys.models import Key
from portal.keys.rules import LimitOverride, check_override, overrides_of, stored_overrides
from portal.plans import entitlement_of

OVERRIDE_LIMIT = KeyAction("key.override_limit", "changed a limit of the key")


@dataclass(frozen=True, slots=True)
class NewOverride:
    """`name` is the plan's limit; `expires_at` None: for good; `burst` for a token bucket, None: `amount`."""

    name: str
    amount: int
    window_ms: int
    reason: str
    burst: int | None = None
    expires_at: datetime | None = None


@requires(Permission.STAFF)
async def override_key_limit(tx: Tx, actor: Actor, key_id: str, new: NewOverride) -> Key:
    """Set an override, replacing an earlier one of the same limit. `actor` is staff, acting for the key's account.

    Raises Invalid with the field, Forbidden, NotFound, Conflict for a revoked key.
    """
    key = await store.lock_open_key(tx, actor.account_id, key_id)
    override = LimitOverride(
        new.name, new.amount, new.window_ms, new.burst, new.reason.strip(), actor.id, tx.now, new.expires_at
    )
    if new.expires_at is not None and new.expires_at.tzinfo is None:
        raise Invalid("The end has no time zone.", hint="Write it like 2027-01-31T00:00:00Z.", path=("expiresAt",))
    check_override(override, (await entitlement_of(tx, key.account_id)).limits, tx.now)
    other_overrides = [other for other in overrides_of(key, tx.now) if other.name != new.name]
    key.overrides, key.overrides_end_at = stored_overrides([*other_overrides, override])
    await tx.flush()
    details = {"amount": new.amount, "window_ms": new.window_ms, "burst": new.burst, "reason": override.reason}
    ends = new.expires_at.isoformat() if new.expires_at is not None else None
    await audit.record(tx, actor, OVERRIDE_LIMIT, key.id, name=new.name, expires_at=ends, **details)
    await bump_policy_version(tx, key.account_id)
    tx.emit(KeyChanged(account_id=key.account_id, key_id=key.id, change=OVERRIDE_LIMIT.verb))
    return key
