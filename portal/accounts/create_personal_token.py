"""Create a personal access token: GraphQL for scripts, in one account, with the person's own role."""

import secrets
from dataclasses import dataclass
from datetime import datetime

from portal import audit
from portal.accounts.models import PersonalToken
from portal.accounts.rules import token_digest
from portal.core.actor import Actor
from portal.core.database import Tx
from portal.core.errors import Forbidden
from portal.core.ids import new_id
from portal.core.names import check_name


@dataclass(frozen=True, slots=True)
class CreatedToken:
    """`token` is shown once and stored nowhere."""

    id: str
    token: str


async def create_personal_token(tx: Tx, actor: Actor, name: str, expires_at: datetime | None = None) -> CreatedToken:
    """Raises Invalid, Forbidden (only a person owns one)."""
    if actor.kind != "person":
        raise Forbidden("Only a person can have a personal token.")
    token = f"pat_{secrets.token_urlsafe(32)}"
    row = await tx.insert(
        PersonalToken(
            id=new_id("pat"),
            account_id=actor.account_id,
            person_id=actor.id,
            name=check_name(name),
            token_digest=token_digest(token),
            display=f"{token[:8]}…",
            created_at=tx.now,
            expires_at=expires_at,
        )
    )
    await audit.record(tx, actor, "personal_token.create", row.id)
    return CreatedToken(row.id, token)
