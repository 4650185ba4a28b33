"""Revoke a key: once this is answered it never verifies again, on any process."""

from portal import audit
from portal.accounts import bump_policy_version
from portal.core.actor import Actor, Permission, requires
from portal.core.database import Tx
from portal.core.texts import check_reason
from portal.keys import store
from portal.keys.events import KeyAction, KeyRevoked
from portal.keys.models import Key
from portal.keys.restore import tombstones_of
from portal.keys.rules import MAX_REASON
from portal.keys.secrets import mask_secrets

REVOKE = KeyAction("key.revoke", "revoked the key", "revoked")


@requires(Permission.KEYS_WRITE)
async def revoke_key(tx: Tx, actor: Actor, key_id: str, reason: str | None = None) -> Key:
    """Revoke a key at once. Idempotent: a revoked key stays as it is. Raises Invalid, Forbidden, NotFound.

    The leaked secret itself is often pasted into the reason: it is kept masked.
    """
    key = await store.lock_key(tx, actor.account_id, key_id)
    if key.revoked_at is None:
        key.revoked_at = tx.now
        key.revoked_reason = mask_secrets(check_reason(reason, MAX_REASON) or "") or None
        await tx.flush()
        await audit.record(tx, actor, REVOKE, key.id, reason=key.revoked_reason)
        await bump_policy_version(tx, key.account_id, tombstones_of(key))
        tx.emit(KeyRevoked(account_id=key.account_id, key_id=key.id))
    return key
