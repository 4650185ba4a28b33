"""Apply again what a restored PostgreSQL has lost and Redis remembers. It only ever takes away."""

from dataclasses import dataclass, field

from portal import accounts, audit
from portal.accounts import bump_policy_version
from portal.core.actor import SYSTEM, Actor
from portal.core.database import Tx
from portal.core.ids import AccountId
from portal.keys import store
from portal.keys.events import KeyAction, KeyChanged
from portal.keys.restore.tombstones import (
    Tombstones,
    narrow_key,
    narrow_secret,
    read_key_tombstone,
    read_secret_tombstone,
    tombstones_of,
)

REAPPLY = KeyAction("key.reapply", "applied again what was done to the key before a restore of the database")


@dataclass(slots=True)
class Reapplied:
    """What was taken away again, by key, and which keys and secrets Redis knows and PostgreSQL does not.

    `before` and `version`: the account's policy version in PostgreSQL before and after.
    """

    before: int
    version: int
    changed: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)


async def reapply_tombstones(
    tx: Tx, account_id: str, tombstones: Tombstones, *, above: int, below: int | None = None
) -> Reapplied | None:
    """Bring an account to what its tombstones say, and its version above `above`, which Redis has.

    Every change is in the account's audit log as the system's. Nothing is done where the version has reached `below`:
    PostgreSQL has those changes, or was healed. None for an account that PostgreSQL does not have.
    """
    version = await accounts.lock_policy_version(tx, account_id)
    if version is None:
        return None
    reapplied = Reapplied(version, version)
    if below is not None and version >= below:
        return reapplied
    actor = Actor("system", SYSTEM.id, AccountId(account_id))
    ids = [*tombstones]
    rows = {key.id: key for key in await store.lock_keys_by_id(tx, account_id, ids)}
    secrets = {secret.id: secret for secret in await store.lock_secrets_by_id(tx, account_id, ids)}
    state: Tombstones = {}
    for secret_id, secret in secrets.items():
        tombstone = read_secret_tombstone(tombstones, secret_id)
        if tombstone is not None and narrow_secret(secret, tombstone):
            ends_at = secret.ends_at.isoformat() if secret.ends_at else None
            await audit.record(tx, actor, REAPPLY, secret.key_id, secret=secret.id, ends_at=ends_at)
            reapplied.changed.append(secret.key_id)
            state[secret_id] = tombstones[secret_id]
    for key_id, key in rows.items():
        key_tombstone = read_key_tombstone(tombstones, key_id)
        if key_tombstone is not None and (changes := narrow_key(key, key_tombstone)):
            await audit.record(tx, actor, REAPPLY, key_id, **changes)
            reapplied.changed.append(key_id)
            state |= tombstones_of(key)
    if tombstones.get(account_id, {}).get("suspended") and await accounts.suspend_again(tx, actor):
        reapplied.changed.append(account_id)
    await tx.flush()
    reapplied.missing = sorted(id_ for id_ in ids if id_ not in rows and id_ not in secrets and id_ != account_id)
    if not reapplied.changed and version >= above:
        return reapplied
    reapplied.version = await bump_policy_version(tx, account_id, state, above=above)
    for key_id in sorted({*reapplied.changed} - {account_id}):
        tx.emit(KeyChanged(account_id=account_id, key_id=key_id, change=REAPPLY.verb))
    return reapplied
