"""Statements of keys. Every one that serves an account carries its id."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import Select, and_, func, or_, select, tuple_
from sqlmodel import col

from portal.core.database import Tx
from portal.core.errors import Conflict, NotFound
from portal.keys.models import Key, KeySecret
from portal.keys.rules import KeyStatus
from portal.keys.secrets import KeySearch, parse_search

MAX_SECRETS = 10
Selected = TypeVar("Selected")


@dataclass(frozen=True, slots=True)
class KeyFilter:
    """Which keys of an account: `search` matches names and masked secrets, a whole secret by its digest."""

    search: str | None = None
    environment: str | None = None
    status: KeyStatus | None = None


async def find_key(tx: Tx, account_id: str, key_id: str) -> Key | None:
    return await tx.find(select(Key).where(col(Key.id) == key_id, col(Key.account_id) == account_id))


async def get_key(tx: Tx, account_id: str, key_id: str) -> Key:
    key = await find_key(tx, account_id, key_id)
    if key is None:
        raise NotFound("There is no such key.", path=("id",))
    return key


async def find_keys_anywhere(tx: Tx, key_ids: Sequence[str]) -> list[Key]:
    """Return those that exist. Reads across accounts: only for ids from the provider's own services."""
    return await tx.list(select(Key).where(col(Key.id).in_(key_ids)))


async def lock_key(tx: Tx, account_id: str, key_id: str) -> Key:
    statement = select(Key).where(col(Key.id) == key_id, col(Key.account_id) == account_id).with_for_update()
    key = await tx.find(statement)
    if key is None:
        raise NotFound("There is no such key.", path=("id",))
    return key


async def lock_open_key(tx: Tx, account_id: str, key_id: str) -> Key:
    """Lock a key that can change. Raises NotFound, Conflict for a revoked key."""
    key = await lock_key(tx, account_id, key_id)
    if key.revoked_at is not None:
        raise Conflict("This key is revoked and cannot change.", hint="Create a new key.", path=("id",))
    return key


async def lock_keys_with_ended_overrides(tx: Tx, most: int) -> list[Key]:
    """Lock keys across accounts, ordered by account, so that two callers never wait for each other in a circle."""
    statement = (
        select(Key)
        .where(col(Key.overrides_end_at) <= tx.now)
        .order_by(col(Key.account_id), col(Key.id))
        .limit(most)
        .with_for_update(skip_locked=True)
    )
    return await tx.list(statement)


async def list_keys(
    tx: Tx, account_id: str, filters: KeyFilter, *, most: int, before: tuple[datetime, str] | None = None
) -> list[Key]:
    """Return keys, newest first; `before` is (created_at, id) of the last one seen."""
    statement = _matching(select(Key), account_id, filters, tx.now)
    if before is not None:
        statement = statement.where(tuple_(col(Key.created_at), col(Key.id)) < before)
    return await tx.list(statement.order_by(col(Key.created_at).desc(), col(Key.id).desc()).limit(most))


async def count_keys(tx: Tx, account_id: str, filters: KeyFilter) -> int:
    return await tx.get(_matching(select(func.count(col(Key.id))), account_id, filters, tx.now))


async def count_unrevoked_keys(tx: Tx, account_id: str, most: int) -> int:
    """Return how many keys of the account are not revoked, and no more than `most`. Locks out another count."""
    await tx.execute(select(func.pg_advisory_xact_lock(func.hashtext(f"keys:{account_id}"))))
    some = select(col(Key.id)).where(col(Key.account_id) == account_id, col(Key.revoked_at).is_(None)).limit(most)
    return await tx.get(select(func.count()).select_from(some.subquery()))


async def list_names(tx: Tx, account_id: str, key_ids: Sequence[str]) -> dict[str, str]:
    """Return names by key id; keys of other accounts are absent."""
    named = select(col(Key.id), col(Key.name)).where(col(Key.account_id) == account_id, col(Key.id).in_(key_ids))
    return {row.id: row.name for row in await tx.execute(named)}


async def list_expiring(tx: Tx, account_id: str, until: datetime, most: int) -> list[Key]:
    """Return active keys that expire before `until`, the nearest first."""
    statement = select(Key).where(
        col(Key.account_id) == account_id, _status_clause(KeyStatus.ACTIVE, tx.now), col(Key.expires_at) <= until
    )
    return await tx.list(statement.order_by(col(Key.expires_at), col(Key.id)).limit(most))


async def list_older(tx: Tx, account_id: str, created_before: datetime, most: int) -> list[Key]:
    """Return active keys created before then, oldest first."""
    statement = select(Key).where(
        col(Key.account_id) == account_id,
        _status_clause(KeyStatus.ACTIVE, tx.now),
        col(Key.created_at) <= created_before,
    )
    return await tx.list(statement.order_by(col(Key.created_at), col(Key.id)).limit(most))


async def list_keys_by_id(tx: Tx, account_id: str, key_ids: Sequence[str]) -> list[Key]:
    """Return those of these keys that belong to the account."""
    return await tx.list(select(Key).where(col(Key.account_id) == account_id, col(Key.id).in_(key_ids)))


async def lock_keys_by_id(tx: Tx, account_id: str, key_ids: Sequence[str]) -> list[Key]:
    """Lock those of these keys that belong to the account, in the order of their ids."""
    is_one = (col(Key.account_id) == account_id, col(Key.id).in_(key_ids))
    return await tx.list(select(Key).where(*is_one).order_by(col(Key.id)).with_for_update())


async def lock_secrets_by_id(tx: Tx, account_id: str, secret_ids: Sequence[str]) -> list[KeySecret]:
    """Lock those of these secrets that belong to the account, in the order of their ids."""
    is_one = (col(KeySecret.account_id) == account_id, col(KeySecret.id).in_(secret_ids))
    return await tx.list(select(KeySecret).where(*is_one).order_by(col(KeySecret.id)).with_for_update())


async def list_secrets(tx: Tx, account_id: str, key_ids: Sequence[str]) -> list[KeySecret]:
    """Return up to MAX_SECRETS secrets of each of these keys, newest first."""
    newest = (col(KeySecret.created_at).desc(), col(KeySecret.id).desc())
    place = func.row_number().over(partition_by=col(KeySecret.key_id), order_by=newest).label("place")
    ranked = (
        select(col(KeySecret.id), place)
        .where(col(KeySecret.account_id) == account_id, col(KeySecret.key_id).in_(key_ids))
        .subquery()
    )
    statement = (
        select(KeySecret)
        .join(ranked, ranked.c.id == col(KeySecret.id))
        .where(ranked.c.place <= MAX_SECRETS)
        .order_by(*newest)
    )
    return await tx.list(statement)


async def list_open_secrets(tx: Tx, key: Key) -> list[KeySecret]:
    """Return the secrets that still work, newest first: one, or two during a rotation's overlap."""
    statement = (
        select(KeySecret)
        .where(
            col(KeySecret.key_id) == key.id,
            col(KeySecret.account_id) == key.account_id,
            or_(col(KeySecret.ends_at).is_(None), col(KeySecret.ends_at) > tx.now),
        )
        .order_by(col(KeySecret.created_at).desc(), col(KeySecret.id).desc())
    )
    return await tx.list(statement)


async def find_secret_by_digest(tx: Tx, digest: bytes) -> tuple[KeySecret, Key] | None:
    """Return a secret and its key. Reads across accounts: only for the check, which does not know the account yet."""
    statement = (
        select(KeySecret, Key).join(Key, col(Key.id) == col(KeySecret.key_id)).where(col(KeySecret.digest) == digest)
    )
    row = (await tx.execute(statement)).one_or_none()
    return None if row is None else (row._mapping[KeySecret], row._mapping[Key])


def _matching(statement: Select[Selected], account_id: str, filters: KeyFilter, now: datetime) -> Select[Selected]:
    statement = statement.where(col(Key.account_id) == account_id)
    if filters.environment:
        statement = statement.where(col(Key.environment) == filters.environment)
    if filters.search:
        statement = statement.where(_search_clause(account_id, parse_search(filters.search)))
    if filters.status:
        statement = statement.where(_status_clause(filters.status, now))
    return statement


def _search_clause(account_id: str, search: KeySearch) -> Any:
    """Return the clause of a search: no secret is in it, whatever was searched for."""
    of_account = select(col(KeySecret.key_id)).where(col(KeySecret.account_id) == account_id)
    if search.digest is not None:
        has_digest = col(KeySecret.digest) == search.digest
        begins = [col(KeySecret.display).startswith(search.mask, autoescape=True)] if search.mask else []
        return col(Key.id).in_(of_account.where(or_(has_digest, *begins)))
    text = search.text.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_")
    shown = of_account.where(col(KeySecret.display).ilike(f"%{text}%"))
    return or_(col(Key.name).ilike(f"%{text}%"), col(Key.id).in_(shown))


def _status_clause(status: KeyStatus, now: datetime) -> Any:
    is_open = col(Key.revoked_at).is_(None)
    is_current = or_(col(Key.expires_at).is_(None), col(Key.expires_at) > now)
    clauses = {
        KeyStatus.REVOKED: col(Key.revoked_at).is_not(None),
        KeyStatus.EXPIRED: and_(is_open, col(Key.expires_at) <= now),
        KeyStatus.PAUSED: and_(is_open, is_current, col(Key.paused_at).is_not(None)),
        KeyStatus.ACTIVE: and_(is_open, is_current, col(Key.paused_at).is_(None)),
    }
    return clauses[status]
