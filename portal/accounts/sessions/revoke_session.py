"""Revoke a session: its browser has to sign in again."""

from portal import audit
from portal.accounts.models import Session
from portal.accounts.sessions import store as session_store
from portal.core.actor import Actor, Permission, requires
from portal.core.database import Tx

REVOKE = audit.Action("session.revoke", "ended a session")


@requires(Permission.SELF_WRITE)
async def revoke_session(tx: Tx, actor: Actor, session_id: str) -> Session:
    """End one of the caller's own sessions, possibly the present one. Raises Forbidden, NotFound for one that ended."""
    session = await session_store.get_own_session(tx, actor.id, session_id)
    await session_store.delete_session(tx, session)
    await audit.record(tx, actor, REVOKE, session.id)
    return session
