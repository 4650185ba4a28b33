"""Delete what nobody can use any more: sessions past their end, tokens that ended a month ago, unread secrets."""

from portal.accounts.sessions import delete_expired_sessions, purge_secrets
from portal.accounts.tokens import delete_expired_tokens
from portal.core.database import Tx

PURGE_BATCH_SIZE = 1000


async def purge_expired(tx: Tx) -> tuple[int, int]:
    """Delete at most a thousand sessions and tokens; return both counts. Call again while either is a thousand.

    Secrets that wait to be shown longer than they may are erased too.
    """
    await purge_secrets(tx)
    sessions = await delete_expired_sessions(tx, PURGE_BATCH_SIZE)
    return sessions, await delete_expired_tokens(tx, PURGE_BATCH_SIZE)
