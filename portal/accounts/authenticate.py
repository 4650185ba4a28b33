"""Who sends this request: a session cookie or a personal token becomes an actor."""

from dataclasses import dataclass, field, replace
from typing import Any

from portal.accounts import store
from portal.accounts.models import Person, PersonalToken, Session
from portal.accounts.rules import MAX_IDLE_TIME, SEEN_STEP, token_digest
from portal.accounts.sessions import find_session, update_session_seen
from portal.accounts.tokens import find_personal_token, update_token_used
from portal.core.actor import Actor, Role
from portal.core.database import Tx
from portal.core.ids import AccountId


@dataclass(frozen=True, slots=True)
class AuthenticatedPerson:
    """`page_notes` is what waits for pages of a session, by path."""

    person: Person
    actor: Actor
    page_notes: dict[str, Any] = field(default_factory=dict)


async def authenticate_session(
    tx: Tx, token: str, address: str | None, *, is_use: bool = True
) -> AuthenticatedPerson | None:
    """Return the person behind a session cookie, or None if it is unknown, idle (30 min) or expired (12 h).

    Only `is_use` keeps it from becoming idle.
    """
    session = await find_session(tx, token_digest(token))
    if session is None or tx.now >= session.expires_at or tx.now - session.seen_at >= MAX_IDLE_TIME:
        return None
    if is_use and tx.now - session.seen_at >= SEEN_STEP:
        await update_session_seen(tx, session, tx.now, address)
    member = await _member(tx, session, address)
    return None if member is None else replace(member, page_notes=session.page_notes or {})


async def authenticate_token(tx: Tx, token: str, address: str | None) -> AuthenticatedPerson | None:
    """Return the person behind a personal token, or None if it is unknown, expired or revoked."""
    row = await find_personal_token(tx, token_digest(token))
    if row is None or row.revoked_at is not None or (row.expires_at is not None and tx.now >= row.expires_at):
        return None
    if row.last_used_at is None or tx.now - row.last_used_at >= SEEN_STEP:
        await update_token_used(tx, row, tx.now)
    return await _member(tx, row, address)


async def _member(tx: Tx, credential: Session | PersonalToken, address: str | None) -> AuthenticatedPerson | None:
    person = await store.find_person(tx, credential.person_id)
    membership = await store.find_membership(tx, credential.account_id, credential.person_id)
    if person is None or membership is None:
        return None
    scopes = credential.scopes if isinstance(credential, PersonalToken) else None
    actor = Actor(
        "person",
        person.id,
        AccountId(credential.account_id),
        role=Role(membership.role),
        is_staff=person.is_staff,
        address=address,
        scopes=None if scopes is None else frozenset(scopes),
        credential=credential.id,
    )
    return AuthenticatedPerson(person, actor)
