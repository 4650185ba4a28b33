"""Create a personal access token: GraphQL for scripts, in one account, with the person's own role."""

import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from portal import audit
from portal.accounts.models import PersonalToken
from portal.accounts.rules import check_scopes, token_digest
from portal.accounts.tokens import store as token_store
from portal.core.actor import Actor, Permission, requires
from portal.core.database import Tx
from portal.core.errors import Conflict, Forbidden, Invalid
from portal.core.ids import new_id
from portal.core.texts import check_name

CREATE = audit.Action("personal_token.create", "created a personal token")


@dataclass(frozen=True, slots=True)
class CreatedToken:
    """`token` is shown once; only its SHA-256 is stored."""

    row: PersonalToken
    token: str


@requires(Permission.SELF_WRITE)
async def create_personal_token(
    tx: Tx,
    actor: Actor,
    name: str,
    expires_at: datetime | None = None,
    scopes: Collection[str] | None = None,
    max_tokens: int | None = None,
) -> CreatedToken:
    """Create a token for the calling person; `scopes` None means all that the role allows.

    A token cannot create one that may do more, or lives longer, than itself. A person may have `max_tokens` at once in
    an account, None: any number. Raises Invalid, Forbidden, Conflict for one more than that.
    """
    if actor.kind != "person":
        raise Forbidden("Only a person can have a personal token.")
    chosen = check_scopes(scopes)
    if expires_at is not None and expires_at <= tx.now:
        raise Invalid("The expiry lies in the past.", hint="Choose a later one.", path=("expiresAt",))
    await _require_no_more(tx, actor, chosen, expires_at)
    count = 0 if max_tokens is None else await token_store.count_valid_personal_tokens(tx, actor.account_id, actor.id)
    if max_tokens is not None and count >= max_tokens:
        raise Conflict(
            f"You have {max_tokens:,} tokens for this account, as many as you may have. No token was created.",
            hint="Revoke tokens that nothing uses, or ask the provider for more (PORTAL_MAX_PERSONAL_TOKENS).",
        )
    token = f"pat_{secrets.token_urlsafe(32)}"
    row = await tx.insert(
        PersonalToken(
            id=new_id("pat"),
            account_id=actor.account_id,
            person_id=actor.id,
            name=check_name(name),
            token_digest=token_digest(token),
            display=f"{token[:8]}…",
            scopes=chosen,
            created_at=tx.now,
            expires_at=expires_at,
        )
    )
    await audit.record(tx, actor, CREATE, row.id, name=row.name, scopes=chosen)
    return CreatedToken(row, token)


async def _require_no_more(tx: Tx, actor: Actor, scopes: list[str] | None, expires_at: datetime | None) -> None:
    if actor.scopes is not None and (scopes is None or not actor.scopes.issuperset(scopes)):
        raise Forbidden("A token cannot make one with more scopes than it has.", path=("scopes",))
    maker = await token_store.find_own_token(tx, actor.account_id, actor.id, actor.credential or "")
    if maker is None or maker.expires_at is None:
        return
    if expires_at is None or expires_at > maker.expires_at:
        raise Forbidden("A token cannot make one that outlives it.", path=("expiresAt",))
