"""The version that makes stale policies impossible: see portal.check."""

from collections.abc import Mapping
from secrets import token_hex
from typing import Any

import msgspec

from portal import audit
from portal.accounts import store
from portal.core.actor import Actor
from portal.core.database import Tx
from portal.core.messaging.outbox import Event


class PolicyChanged(Event, frozen=True, kw_only=True):
    """What a key of the account may do has changed; `version` is accounts.policy_version after the change.

    `change` is a random name of this change, and `tombstones` are what Redis remembers of it, by id: see
    portal.keys.restore. Events of before they existed have neither.
    """

    wire_type = "PolicyChanged"
    version: int
    change: str = ""
    tombstones: dict[str, dict[str, Any]] = msgspec.field(default_factory=dict)


SUSPEND_AGAIN = audit.Action("account.suspend_again", "suspended the account again after a restore")


async def bump_policy_version(
    tx: Tx, account_id: str, tombstones: Mapping[str, dict[str, Any]] | None = None, *, above: int = 0
) -> int:
    """Raise the account's policy version, beyond `above`. Every verb calls it that changes what a key may do.

    The edge raises the version in Redis after the commit, and leaves the `tombstones` there in the same write: what
    must hold even if PostgreSQL is restored to a time before.
    """
    version = await store.update_policy_version(tx, account_id, above)
    tx.emit(
        PolicyChanged(account_id=account_id, version=version, change=token_hex(8), tombstones=dict(tombstones or {}))
    )
    return version


async def suspend_again(tx: Tx, actor: Actor) -> bool:
    """Suspend the actor's account where a restored database has lost that it was; return whether it had."""
    if not await store.suspend_account(tx, actor.account_id):
        return False
    await audit.record(tx, actor, SUSPEND_AGAIN, actor.account_id)
    await bump_policy_version(tx, actor.account_id, {str(actor.account_id): {"suspended": True}})
    return True
