"""Rotate a key: a new secret now, the old one ends after the overlap. Limits and history stay with the key."""

from dataclasses import dataclass
from datetime import timedelta

from portal import audit
from portal.accounts import bump_policy_version
from portal.core.actor import Actor, Permission, requires
from portal.core.database import Tx
from portal.core.errors import Conflict, Invalid
from portal.keys import store
from portal.keys.describe_change import describe_change
from portal.keys.events import KeyAction, KeyChanged
from portal.keys.models import Key, KeySecret
from portal.keys.restore import tombstones_of
from portal.keys.secrets import add_secret

ROTATE = KeyAction("key.rotate", "rotated the key", "rotated")

MAX_OVERLAP = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class RotatedKey:
    """`secret` is shown once."""

    key: Key
    secret: str


@requires(Permission.KEYS_WRITE)
async def rotate_key(
    tx: Tx,
    actor: Actor,
    key_id: str,
    overlap: timedelta,
    prefix: str = "pk",
    *,
    current_secret_id: str | None = None,
) -> RotatedKey:
    """Give a key a new secret; the old one ends after the overlap. Rotating again meanwhile ends the oldest at once.

    With `current_secret_id` only while that one is still the newest, so that two people who rotate at once end nothing
    that neither saw. Raises Invalid, Forbidden, NotFound, Conflict for a revoked, expired or newly rotated key.
    """
    if not timedelta(0) <= overlap <= MAX_OVERLAP:
        raise Invalid(f"The overlap is 0 to {MAX_OVERLAP.days} days.", path=("overlapSeconds",))
    key = await store.lock_open_key(tx, actor.account_id, key_id)
    if key.expires_at is not None and tx.now >= key.expires_at:
        raise Conflict("This key has expired.", hint="Give it a later expiry first, or create a new key.", path=("id",))
    current, *older = await store.list_open_secrets(tx, key)
    if current_secret_id is not None and current_secret_id != current.id:
        change = await describe_change(tx, actor, key, ROTATE.name, "rotated this key")
        raise Conflict(
            f"{change} Nothing was rotated.",
            hint="Rotating again would end a secret that is in use.",
            path=("currentSecretId",),
        )
    _end([*older], tx, timedelta(0))
    _end([current], tx, overlap)
    await tx.flush()
    row, secret = await add_secret(tx, key, prefix)
    await audit.record(tx, actor, ROTATE, key.id, overlap_seconds=int(overlap.total_seconds()))
    await bump_policy_version(tx, key.account_id, tombstones_of(key, [row, current, *older]))
    tx.emit(KeyChanged(account_id=key.account_id, key_id=key.id, change=ROTATE.verb))
    return RotatedKey(key, secret)


def _end(secrets: list[KeySecret], tx: Tx, overlap: timedelta) -> None:
    for secret in secrets:
        secret.ends_at = tx.now + overlap
