"""Resume a paused key: it verifies again at once."""

from portal import audit
from portal.accounts import bump_policy_version
from portal.core.actor import Actor, Permission, requires
from portal.core.database import Tx
from portal.keys import store
from portal.keys.events import KeyAction, KeyChanged
from portal.keys.models import Key
from portal.keys.restore import tombstones_of

RESUME = KeyAction("key.resume", "resumed the key", "resumed")


@requires(Permission.KEYS_WRITE)
async def resume_key(tx: Tx, actor: Actor, key_id: str) -> Key:
    """Resume a key. Idempotent. Raises Forbidden, NotFound, Conflict for a revoked key."""
    key = await store.lock_open_key(tx, actor.account_id, key_id)
    if key.paused_at is not None:
        key.paused_at = None
        await tx.flush()
        await audit.record(tx, actor, RESUME, key.id)
        await bump_policy_version(tx, key.account_id, tombstones_of(key))
        tx.emit(KeyChanged(account_id=key.account_id, key_id=key.id, change=RESUME.verb))
    return key
