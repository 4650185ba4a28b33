"""Whether those who stay connected may still: which sessions and tokens are valid now, and with which role."""

from collections.abc import Collection

from portal.accounts import store
from portal.accounts.authenticate import IDLE
from portal.core.actor import Role
from portal.core.database import Tx


async def standing_of(tx: Tx, digests: Collection[bytes]) -> dict[bytes, Role]:
    """By digest of the session's or personal token; whatever has ended is absent. Looking keeps no session alive."""
    found = await store.list_standing(tx, digests, tx.now, tx.now - IDLE)
    return {digest: Role(role) for digest, role in found}
