"""Statements of accounts."""

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import DateTime, LargeBinary, bindparam, select, text, update
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import col

from portal.accounts.models import Account, Membership, Person, PersonalToken, ServiceToken, Session
from portal.core.database import Tx
from portal.core.errors import NotFound


async def find_person(tx: Tx, person_id: str) -> Person | None:
    person: Person | None = await tx.find(select(Person).where(col(Person.id) == person_id))
    return person


async def find_person_by_email(tx: Tx, email: str) -> Person | None:
    person: Person | None = await tx.find(select(Person).where(col(Person.email) == email))
    return person


async def find_account(tx: Tx, account_id: str) -> Account | None:
    account: Account | None = await tx.find(select(Account).where(col(Account.id) == account_id))
    return account


async def get_account(tx: Tx, account_id: str) -> Account:
    account = await find_account(tx, account_id)
    if account is None:
        raise NotFound("There is no such account.")
    return account


async def list_memberships(tx: Tx, person_id: str) -> list[Membership]:
    """A person's memberships, the oldest first; at most 100."""
    statement = (
        select(Membership)
        .where(col(Membership.person_id) == person_id)
        .order_by(col(Membership.created_at), col(Membership.account_id))
        .limit(100)
    )
    return await tx.list(statement)


async def find_membership(tx: Tx, account_id: str, person_id: str) -> Membership | None:
    membership: Membership | None = await tx.find(
        select(Membership).where(col(Membership.account_id) == account_id, col(Membership.person_id) == person_id)
    )
    return membership


async def find_session(tx: Tx, digest: bytes) -> Session | None:
    session: Session | None = await tx.find(select(Session).where(col(Session.token_digest) == digest))
    return session


async def delete_session(tx: Tx, session: Session) -> None:
    await tx.execute(Session.__table__.delete().where(col(Session.id) == session.id))  # type: ignore[attr-defined]  # SQLModel adds __table__


async def find_personal_token(tx: Tx, digest: bytes) -> PersonalToken | None:
    token: PersonalToken | None = await tx.find(select(PersonalToken).where(col(PersonalToken.token_digest) == digest))
    return token


async def find_service_token(tx: Tx, digest: bytes) -> ServiceToken | None:
    token: ServiceToken | None = await tx.find(select(ServiceToken).where(col(ServiceToken.token_digest) == digest))
    return token


_STANDING = text("""
SELECT held.token_digest, member.role FROM (
    SELECT token_digest, person_id, account_id FROM sessions
        WHERE token_digest = ANY(:digests) AND expires_at > :now AND seen_at > :idle_since
    UNION ALL
    SELECT token_digest, person_id, account_id FROM personal_tokens
        WHERE token_digest = ANY(:digests) AND revoked_at IS NULL AND coalesce(expires_at > :now, true)
) held JOIN memberships member USING (person_id, account_id)
""").bindparams(
    bindparam("digests", type_=ARRAY(LargeBinary)),
    bindparam("now", type_=DateTime(timezone=True)),
    bindparam("idle_since", type_=DateTime(timezone=True)),
)


async def list_standing(
    tx: Tx, digests: Collection[bytes], now: datetime, idle_since: datetime
) -> Sequence[tuple[bytes, str]]:
    """(digest, role) of those sessions and personal tokens that still open an account. No session is kept alive."""
    rows = await tx.execute(_STANDING, {"digests": [*digests], "now": now, "idle_since": idle_since})
    return [(bytes(row.token_digest), row.role) for row in rows]


async def update_session_seen(tx: Tx, session: Session, seen_at: datetime) -> None:
    await tx.execute(update(Session).where(col(Session.id) == session.id).values(seen_at=seen_at))


async def list_policy_versions(tx: Tx, account_ids: Collection[str]) -> Sequence[tuple[str, int]]:
    """(id, version) of those that exist."""
    statement = select(col(Account.id), col(Account.policy_version)).where(col(Account.id).in_(account_ids))
    return [(row.id, row.policy_version) for row in await tx.execute(statement)]


async def update_policy_version(tx: Tx, account_id: str) -> int:
    """Add one; the row stays locked until the transaction ends."""
    version: int = await tx.find(
        update(Account)
        .where(col(Account.id) == account_id)
        .values(policy_version=col(Account.policy_version) + 1)
        .returning(col(Account.policy_version))
    )
    return version
