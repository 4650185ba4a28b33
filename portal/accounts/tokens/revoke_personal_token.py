"""Revoke a personal token: the next request that carries it is refused."""

from portal import audit
from portal.accounts.models import PersonalToken
from portal.accounts.tokens import store as token_store
from portal.core.actor import Actor, Permission, requires
from portal.core.database import Tx
from portal.core.errors import NotFound

REVOKE = audit.Action("personal_token.revoke", "revoked a personal token")


@requires(Permission.SELF_WRITE)
async def revoke_personal_token(tx: Tx, actor: Actor, token_id: str) -> PersonalToken:
    """Revoke one of the caller's own tokens. Idempotent: a revoked token stays as it is. Raises Forbidden, NotFound."""
    token = await token_store.find_own_token(tx, actor.account_id, actor.id, token_id)
    if token is None:
        raise NotFound("There is no such token.", path=("id",))
    if token.revoked_at is None:
        token.revoked_at = tx.now
        await tx.flush()
        await audit.record(tx, actor, REVOKE, token.id, name=token.name)
    return token
