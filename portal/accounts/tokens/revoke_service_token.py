"""Revoke a service token: within a few seconds no process takes checks from its gateway any more."""

from portal import audit
from portal.accounts.models import ServiceToken
from portal.accounts.tokens import store as token_store
from portal.core.actor import Actor, Permission, requires
from portal.core.database import Tx
from portal.core.errors import NotFound
from portal.core.messaging.outbox import Event


class ServiceTokenRevoked(Event, frozen=True, kw_only=True):
    """A gateway's token is refused from now on; the account is empty, since gateways belong to none."""

    wire_type = "ServiceTokenRevoked"
    token_digest: str


REVOKE = audit.Action("service_token.revoke", "revoked a service token")


@requires(Permission.STAFF)
async def revoke_service_token(tx: Tx, actor: Actor, token_id: str) -> ServiceToken:
    """Revoke a gateway's token. Idempotent: a revoked token stays as it is. Raises Forbidden, NotFound."""
    token = await token_store.find_service_token_by_id(tx, token_id)
    if token is None:
        raise NotFound("There is no such token.", path=("id",))
    if token.revoked_at is None:
        token.revoked_at = tx.now
        await tx.flush()
        await audit.record(tx, actor, REVOKE, token.id, name=token.name)
        tx.emit(ServiceTokenRevoked(account_id="", token_digest=token.token_digest.hex()))
    return token
