"""The version that makes stale policies impossible: see portal.check."""

from portal.accounts import store
from portal.core.database import Tx
from portal.core.messaging.events import PolicyChanged


async def bump_policy_version(tx: Tx, account_id: str) -> int:
    """Raise the account's policy version. Every verb calls it that changes what a key of the account may do.

    The edge raises the version in Redis after the commit.
    """
    version = await store.update_policy_version(tx, account_id)
    tx.emit(PolicyChanged(account_id=account_id, version=version))
    return version
