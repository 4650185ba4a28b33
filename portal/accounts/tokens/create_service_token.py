"""Create a service token: what a gateway sends to /check."""

import secrets
from dataclasses import dataclass

from portal import audit
from portal.accounts.models import ServiceToken
from portal.accounts.rules import token_digest
from portal.accounts.tokens import store as token_store
from portal.core.actor import Actor, Permission, requires
from portal.core.database import Tx
from portal.core.errors import Conflict
from portal.core.ids import new_id
from portal.core.texts import check_name

CREATE = audit.Action("service_token.create", "created a service token")

CHECK = "check"


@dataclass(frozen=True, slots=True)
class CreatedServiceToken:
    """`token` is shown once and stored nowhere."""

    row: ServiceToken
    token: str


@requires(Permission.STAFF)
async def create_service_token(tx: Tx, actor: Actor, name: str, max_tokens: int | None = None) -> CreatedServiceToken:
    """Create a token for a gateway, of at most `max_tokens` (None: any number). For staff and the command line.

    Raises Invalid, Forbidden, Conflict for one more than that.
    """
    if max_tokens is not None and await token_store.count_valid_service_tokens(tx) >= max_tokens:
        raise Conflict(
            f"There are {max_tokens:,} service tokens, as many as there may be. No token was created.",
            hint="Revoke those of gateways that are gone, or raise PORTAL_MAX_SERVICE_TOKENS.",
        )
    token = f"svc_{secrets.token_urlsafe(32)}"
    row = await tx.insert(
        ServiceToken(
            id=new_id("svc"),
            name=check_name(name),
            token_digest=token_digest(token),
            display=f"{token[:8]}…",
            scopes=[CHECK],
            created_at=tx.now,
        )
    )
    await audit.record(tx, actor, CREATE, row.id, name=row.name)
    return CreatedServiceToken(row, token)
