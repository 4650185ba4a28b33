"""Revoke all sessions of a person except the present one."""

from portal import audit
from portal.accounts.sessions import store as session_store
from portal.core.actor import Actor, Permission, requires
from portal.core.database import Tx

REVOKE_OTHER = audit.Action("session.revoke_other", "ended all other sessions")


@requires(Permission.SELF_WRITE)
async def revoke_other_sessions(tx: Tx, actor: Actor) -> int:
    """End the caller's other sessions and return how many. A token has no session, so all end. Raises Forbidden."""
    count = await session_store.delete_other_sessions(tx, actor.id, actor.credential)
    if count:
        await audit.record(tx, actor, REVOKE_OTHER, actor.id, sessions=count)
    return count
