"""Whether open connections may stay: which sessions and tokens are valid now, where, and with which role."""

from collections.abc import Collection
from dataclasses import dataclass

from portal.accounts.sessions import list_standing
from portal.core.actor import Role
from portal.core.database import Tx
from portal.core.ids import AccountId


@dataclass(frozen=True, slots=True)
class CredentialStatus:
    """The account that a session or token opens now, its person's role there, and whether they are staff."""

    account_id: AccountId
    role: Role
    is_staff: bool


async def load_credential_status(tx: Tx, digests: Collection[bytes]) -> dict[bytes, CredentialStatus]:
    """Return the status of sessions and personal tokens by digest. Ended ones are absent; no session is kept alive."""
    found = await list_standing(tx, digests)
    return {
        digest: CredentialStatus(AccountId(account_id), Role(role), is_staff)
        for digest, account_id, role, is_staff in found
    }
