"""Delete what nobody can use any more: sessions past their end, tokens that ended a month ago."""

from portal.accounts.sessions import store as session_store
from portal.accounts.tokens import store as token_store
from portal.core.database import Tx

DELETED_AT_ONCE = 1000


async def delete_ended(tx: Tx) -> tuple[int, int]:
    """(sessions, tokens) deleted, at most a thousand of each: call again while either is full. For a worker."""
    sessions = await session_store.delete_ended_sessions(tx, DELETED_AT_ONCE)
    return sessions, await token_store.delete_ended_tokens(tx, DELETED_AT_ONCE)
