"""End overrides whose time is over: their keys are held to the plan again, on every process."""

from portal import audit
from portal.accounts import bump_policy_version
from portal.core.actor import SYSTEM, Actor
from portal.core.database import Tx
from portal.core.ids import AccountId
from portal.keys import store
from portal.keys.events import KeyAction, KeyChanged
from portal.keys.models import Key
from portal.keys.rules import overrides_of, stored_overrides

END_OVERRIDE = KeyAction("key.end_override", "ended a temporary limit of the key")

BATCH_SIZE = 100


async def end_overrides(tx: Tx) -> int:
    """End due overrides of up to BATCH_SIZE keys; return how many keys. Two workers never end the same one twice."""
    due = await store.lock_keys_with_ended_overrides(tx, BATCH_SIZE)
    for key in due:
        await _end(tx, key)
    return len(due)


async def _end(tx: Tx, key: Key) -> None:
    remaining = overrides_of(key, tx.now)
    names = sorted({entry["name"] for entry in key.overrides} - {override.name for override in remaining})
    key.overrides, key.overrides_end_at = stored_overrides(remaining)
    await tx.flush()
    actor = Actor("system", SYSTEM.id, AccountId(key.account_id))
    await audit.record(tx, actor, END_OVERRIDE, key.id, names=names)
    await bump_policy_version(tx, key.account_id)
    tx.emit(KeyChanged(account_id=key.account_id, key_id=key.id, change=END_OVERRIDE.verb))
