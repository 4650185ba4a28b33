"""Change a key's name, scopes, address ranges, metadata, expiry or own limits."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from portal import audit
from portal.accounts import bump_policy_version
from portal.core.actor import Actor, Permission, requires
from portal.core.database import Tx
from portal.core.errors import Conflict
from portal.core.texts import check_name
from portal.keys import store
from portal.keys.describe_change import describe_change
from portal.keys.events import KeyAction, KeyChanged
from portal.keys.models import Key
from portal.keys.restore import tombstones_of
from portal.keys.rules import (
    KeyLimit,
    changed_since,
    check_attributes,
    check_expiry,
    check_ips,
    check_limits,
    check_scopes,
    settings_version,
)

UPDATE = KeyAction("key.update", "changed the key")


class Unset:
    """The mark for "leave as it is", apart from None, which clears."""


UNSET = Unset()


@dataclass(frozen=True, slots=True)
class KeyChanges:
    """New values of a key; UNSET leaves one unchanged."""

    name: str | Unset = UNSET
    scopes: Sequence[str] | Unset = UNSET
    allowed_ips: Sequence[str] | Unset = UNSET
    metadata: dict[str, Any] | Unset = UNSET
    expires_at: datetime | Unset | None = UNSET
    limits: Sequence[KeyLimit] | Unset = UNSET


@requires(Permission.KEYS_WRITE)
async def update_key(tx: Tx, actor: Actor, key_id: str, changes: KeyChanges, version: str | None = None) -> Key:
    """Change a key; with the `version` of its settings that the caller has seen, only if it has no newer one.

    Raises Invalid with the field, Forbidden, NotFound, Conflict for a revoked key and for a version that is not the
    key's any more.
    """
    key = await store.lock_open_key(tx, actor.account_id, key_id)
    if version is not None:
        await _require_version(tx, actor, key, version)
    before = settings_version(key)
    if not isinstance(changes.name, Unset):
        key.name = check_name(changes.name)
    if not isinstance(changes.scopes, Unset):
        key.scopes = check_scopes(changes.scopes)
    if not isinstance(changes.allowed_ips, Unset):
        key.allowed_ips = check_ips(changes.allowed_ips)
    if not isinstance(changes.metadata, Unset):
        key.attributes = check_attributes(changes.metadata)
    if not isinstance(changes.expires_at, Unset):
        key.expires_at = check_expiry(changes.expires_at, tx.now)
    if not isinstance(changes.limits, Unset):
        key.limits = check_limits(changes.limits)
    changed = changed_since(before, key)
    if not changed:
        return key
    await tx.flush()
    settings = {"name": key.name, "scopes": key.scopes, "ips": key.allowed_ips}
    await audit.record(tx, actor, UPDATE, key.id, **settings, changed=changed)
    await bump_policy_version(tx, key.account_id, tombstones_of(key))
    tx.emit(KeyChanged(account_id=key.account_id, key_id=key.id, change=UPDATE.verb))
    return key


async def _require_version(tx: Tx, actor: Actor, key: Key, version: str) -> None:
    """Refuse to save over a change that the caller has not seen. Raises Conflict, which says who changed what."""
    changed = changed_since(version, key)
    if changed:
        what = f"changed {_join_words(changed)}"
        raise Conflict(
            f"{await describe_change(tx, actor, key, UPDATE.name, what)} Nothing was saved.",
            hint="Look at the key as it is now and save again.",
            path=("version",),
        )


def _join_words(names: list[str]) -> str:
    """Return a list as people write it: name, scopes and expiry."""
    *before, last = names
    return f"{', '.join(before)} and {last}" if before else last
