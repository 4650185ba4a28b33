"""Who sends this request: a session cookie or a personal token becomes an actor."""

from dataclasses import dataclass
from datetime import timedelta

from portal.accounts import store
from portal.accounts.models import Person
from portal.accounts.rules import token_digest
from portal.core.actor import Actor, Role
from portal.core.database import Tx
from portal.core.ids import AccountId

IDLE = timedelta(minutes=30)
SEEN_STEP = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class AuthenticatedPerson:
    person: Person
    actor: Actor


async def authenticate_session(tx: Tx, token: str, address: str | None) -> AuthenticatedPerson | None:
    """None for an unknown, idle (30 min) or expired (12 h) session."""
    session = await store.find_session(tx, token_digest(token))
    if session is None or tx.now >= session.expires_at or tx.now - session.seen_at >= IDLE:
        return None
    if tx.now - session.seen_at >= SEEN_STEP:
        await store.update_session_seen(tx, session, tx.now)
    return await _member(tx, session.person_id, session.account_id, address)


async def authenticate_token(tx: Tx, token: str, address: str | None) -> AuthenticatedPerson | None:
    """None for an unknown, expired or revoked personal token."""
    row = await store.find_personal_token(tx, token_digest(token))
    if row is None or row.revoked_at is not None or (row.expires_at is not None and tx.now >= row.expires_at):
        return None
    return await _member(tx, row.person_id, row.account_id, address)


async def _member(tx: Tx, person_id: str, account_id: str, address: str | None) -> AuthenticatedPerson | None:
    person = await store.find_person(tx, person_id)
    membership = await store.find_membership(tx, account_id, person_id)
    if person is None or membership is None:
        return None
    actor = Actor(
        "person",
        person.id,
        AccountId(account_id),
        role=Role(membership.role),
        is_staff=person.is_staff,
        address=address,
    )
    return AuthenticatedPerson(person, actor)
