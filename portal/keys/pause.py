"""Pause a key: it is refused as DISABLED until it is resumed."""

from portal import audit
from portal.accounts import bump_policy_version
from portal.core.actor import Actor, Permission, requires
from portal.core.database import Tx
from portal.keys import store
from portal.keys.events import KeyAction, KeyChanged
from portal.keys.models import Key
from portal.keys.restore import tombstones_of

PAUSE = KeyAction("key.pause", "paused the key", "paused")


@requires(Permission.KEYS_WRITE)
async def pause_key(tx: Tx, actor: Actor, key_id: str) -> Key:
    """Pause a key. Idempotent. Raises Forbidden, NotFound, Conflict for a revoked key."""
    key = await store.lock_open_key(tx, actor.account_id, key_id)
    if key.paused_at is None:
        key.paused_at = tx.now
        await tx.flush()
        await audit.record(tx, actor, PAUSE, key.id)
        await bump_policy_version(tx, key.account_id, tombstones_of(key))
        tx.emit(KeyChanged(account_id=key.account_id, key_id=key.id, change=PAUSE.verb))
    return key
