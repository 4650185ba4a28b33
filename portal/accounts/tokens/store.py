"""Statements of personal and service tokens."""

from datetime import datetime, timedelta

from sqlalchemy import delete, func, or_, select, text, tuple_, update
from sqlmodel import col

from portal.accounts.models import Membership, PersonalToken, ServiceToken
from portal.core.database import Tx

Place = tuple[datetime, str]
ENDED_TOKEN_RETENTION = timedelta(days=30)
"""For so long a token that ended can still be looked at."""


async def find_personal_token(tx: Tx, digest: bytes) -> PersonalToken | None:
    return await tx.find(select(PersonalToken).where(col(PersonalToken.token_digest) == digest))


async def find_own_token(tx: Tx, account_id: str, person_id: str, token_id: str) -> PersonalToken | None:
    statement = select(PersonalToken).where(
        col(PersonalToken.id) == token_id,
        col(PersonalToken.account_id) == account_id,
        col(PersonalToken.person_id) == person_id,
    )
    return await tx.find(statement)


async def list_personal_tokens(
    tx: Tx, account_id: str, person_id: str, *, most: int, before: Place | None = None
) -> list[PersonalToken]:
    """Return a person's tokens for this account, including ended ones, newest first."""
    statement = select(PersonalToken).where(
        col(PersonalToken.account_id) == account_id, col(PersonalToken.person_id) == person_id
    )
    if before is not None:
        statement = statement.where(tuple_(col(PersonalToken.created_at), col(PersonalToken.id)) < before)
    order = col(PersonalToken.created_at).desc(), col(PersonalToken.id).desc()
    return await tx.list(statement.order_by(*order).limit(most))


async def count_personal_tokens(tx: Tx, account_id: str, person_id: str) -> int:
    statement = select(func.count(col(PersonalToken.id))).where(
        col(PersonalToken.account_id) == account_id, col(PersonalToken.person_id) == person_id
    )
    return await tx.get(statement)


async def count_valid_personal_tokens(tx: Tx, account_id: str, person_id: str) -> int:
    """Return how many of a person's tokens for this account have not ended. Locks them against another count."""
    await tx.execute(
        select(col(Membership.role))
        .where(col(Membership.account_id) == account_id, col(Membership.person_id) == person_id)
        .with_for_update()
    )
    statement = select(func.count(col(PersonalToken.id))).where(
        col(PersonalToken.account_id) == account_id,
        col(PersonalToken.person_id) == person_id,
        col(PersonalToken.revoked_at).is_(None),
        or_(col(PersonalToken.expires_at).is_(None), col(PersonalToken.expires_at) > tx.now),
    )
    return await tx.get(statement)


async def update_token_used(tx: Tx, token: PersonalToken, used_at: datetime) -> None:
    await tx.execute(update(PersonalToken).where(col(PersonalToken.id) == token.id).values(last_used_at=used_at))


async def delete_expired_tokens(tx: Tx, most: int) -> int:
    """Delete up to so many tokens of all people that ended more than 30 days ago; return how many."""
    before = tx.now - ENDED_TOKEN_RETENTION
    is_over = or_(col(PersonalToken.expires_at) <= before, col(PersonalToken.revoked_at) <= before)
    ended = select(col(PersonalToken.id)).where(is_over).limit(most).with_for_update(skip_locked=True)
    statement = delete(PersonalToken).where(col(PersonalToken.id).in_(ended)).returning(col(PersonalToken.id))
    return len((await tx.execute(statement)).all())


async def find_service_token(tx: Tx, digest: bytes) -> ServiceToken | None:
    return await tx.find(select(ServiceToken).where(col(ServiceToken.token_digest) == digest))


async def find_service_token_by_id(tx: Tx, token_id: str) -> ServiceToken | None:
    return await tx.find(select(ServiceToken).where(col(ServiceToken.id) == token_id))


async def count_valid_service_tokens(tx: Tx) -> int:
    """Return how many service tokens are not revoked. Locks them against another count."""
    await tx.execute(text("SELECT pg_advisory_xact_lock(hashtext('service_tokens'))"))
    return await tx.get(select(func.count(col(ServiceToken.id))).where(col(ServiceToken.revoked_at).is_(None)))


async def list_service_tokens(tx: Tx, *, most: int, before: Place | None = None) -> list[ServiceToken]:
    """Return the provider's tokens, including revoked ones, newest first."""
    statement = select(ServiceToken)
    if before is not None:
        statement = statement.where(tuple_(col(ServiceToken.created_at), col(ServiceToken.id)) < before)
    order = col(ServiceToken.created_at).desc(), col(ServiceToken.id).desc()
    return await tx.list(statement.order_by(*order).limit(most))


async def count_service_tokens(tx: Tx) -> int:
    return await tx.get(select(func.count(col(ServiceToken.id))))
