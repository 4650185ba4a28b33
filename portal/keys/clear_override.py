"""Clear an override: the key is held to its plan's limit again."""

from portal import audit
from portal.accounts import bump_policy_version
from portal.core.actor import Actor, Permission, requires
from portal.core.database import Tx
from portal.keys import store
from portal.keys.events import KeyAction, KeyChanged
from portal.keys.models import Key
from portal.keys.rules import overrides_of, stored_overrides

CLEAR_OVERRIDE = KeyAction("key.clear_override", "restored the plan's limit of the key")


@requires(Permission.STAFF)
async def clear_key_override(tx: Tx, actor: Actor, key_id: str, name: str) -> Key:
    """Clear an override. Idempotent. `actor` is staff, acting for the key's account.

    Raises Forbidden, NotFound, Conflict for a revoked key.
    """
    key = await store.lock_open_key(tx, actor.account_id, key_id)
    before = overrides_of(key, tx.now)
    if any(override.name == name for override in before):
        key.overrides, key.overrides_end_at = stored_overrides([other for other in before if other.name != name])
        await tx.flush()
        await audit.record(tx, actor, CLEAR_OVERRIDE, key.id, name=name)
        await bump_policy_version(tx, key.account_id)
        tx.emit(KeyChanged(account_id=key.account_id, key_id=key.id, change=CLEAR_OVERRIDE.verb))
    return key
