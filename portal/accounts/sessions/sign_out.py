"""Sign out: the session ends at once."""

from portal.accounts.rules import token_digest
from portal.accounts.sessions import store as session_store
from portal.core.database import Tx


async def sign_out(tx: Tx, token: str) -> None:
    """End the session. Idempotent: an unknown or ended session is no error."""
    session = await session_store.find_session(tx, token_digest(token))
    if session is not None:
        await session_store.delete_session(tx, session)
