"""The version that makes stale policies impossible: see portal.check."""

from collections.abc import Mapping
from secrets import token_hex
from typing import Any

from portal import audit
from portal.accounts import store
from portal.core.actor import Actor
from portal.core.database import Tx
from portal.core.messaging.events import PolicyChanged

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
