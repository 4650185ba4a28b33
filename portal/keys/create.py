"""Create a key; its secret is shown once."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from portal import audit
from portal.accounts import bump_policy_version
from portal.core.actor import Actor, Permission, requires
from portal.core.database import Tx
from portal.core.environments import ENVIRONMENTS, LIVE
from portal.core.errors import Conflict, Invalid
from portal.core.ids import new_id
from portal.core.texts import check_name
from portal.keys import store
from portal.keys.events import KeyAction, KeyCreated
from portal.keys.models import Key
from portal.keys.restore import tombstones_of
from portal.keys.rules import KeyLimit, check_attributes, check_expiry, check_ips, check_limits, check_scopes
from portal.keys.secrets import add_secret

CREATE = KeyAction("key.create", "created the key", "created")


@dataclass(frozen=True, slots=True)
class NewKey:
    name: str
    environment: str = LIVE
    scopes: Sequence[str] = ()
    allowed_ips: Sequence[str] = ()
    metadata: dict[str, Any] = field(default_factory=dict)
    expires_at: datetime | None = None
    prefix: str = "pk"
    limits: Sequence[KeyLimit] = ()


@dataclass(frozen=True, slots=True)
class CreatedKey:
    """`secret` is shown this once; only its SHA-256 is stored."""

    key: Key
    secret: str


@requires(Permission.KEYS_WRITE)
async def create_key(tx: Tx, actor: Actor, new: NewKey, max_keys: int | None = None) -> CreatedKey:
    """Create a key with its first secret; the account may have `max_keys` at once, None: any number.

    Raises Invalid with the field, Forbidden, Conflict for one more than that.
    """
    if new.environment not in ENVIRONMENTS:
        raise Invalid("The environment is live or test.", path=("environment",))
    if max_keys is not None and await store.count_unrevoked_keys(tx, actor.account_id, max_keys) >= max_keys:
        raise Conflict(
            f"The account has {max_keys:,} keys, as many as it may have. No key was created.",
            hint="Revoke keys that nobody uses, or ask the provider for more (PORTAL_MAX_KEYS).",
        )
    key = await tx.insert(
        Key(
            id=new_id("key"),
            account_id=actor.account_id,
            name=check_name(new.name),
            environment=new.environment,
            scopes=check_scopes(new.scopes),
            allowed_ips=check_ips(new.allowed_ips),
            attributes=check_attributes(new.metadata),
            limits=check_limits(new.limits),
            created_by=actor.id,
            created_at=tx.now,
            expires_at=check_expiry(new.expires_at, tx.now),
        )
    )
    row, secret = await add_secret(tx, key, new.prefix)
    await audit.record(tx, actor, CREATE, key.id, name=key.name, environment=key.environment)
    await bump_policy_version(tx, key.account_id, tombstones_of(key, [row]))
    tx.emit(KeyCreated(account_id=key.account_id, key_id=key.id))
    return CreatedKey(key, secret)
