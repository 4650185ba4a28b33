"""Statements of people, accounts and memberships. Sessions and tokens have stores of their own."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Select, func, select, tuple_, update
from sqlmodel import col

from portal.accounts.models import Account, Membership, Person
from portal.core.database import Tx
from portal.core.errors import NotFound


async def find_person(tx: Tx, person_id: str) -> Person | None:
    return await tx.find(select(Person).where(col(Person.id) == person_id))


async def find_person_by_email(tx: Tx, email: str) -> Person | None:
    return await tx.find(select(Person).where(col(Person.email) == email))


async def find_account(tx: Tx, account_id: str) -> Account | None:
    return await tx.find(select(Account).where(col(Account.id) == account_id))


async def list_accounts(tx: Tx, account_ids: Collection[str]) -> list[Account]:
    """Return those that exist. Reads across accounts: only for ids from the provider's own services."""
    return await tx.list(select(Account).where(col(Account.id).in_(account_ids)))


async def get_account(tx: Tx, account_id: str) -> Account:
    account = await find_account(tx, account_id)
    if account is None:
        raise NotFound("There is no such account.")
    return account


async def lock_accounts(tx: Tx, account_ids: Collection[str]) -> list[Account]:
    """Return those that exist, in order, as they are now; nobody else changes them until the transaction ends."""
    statement = select(Account).where(col(Account.id).in_(account_ids)).order_by(col(Account.id))
    locked = statement.with_for_update(key_share=True).execution_options(populate_existing=True)
    return await tx.list(locked)


async def lock_account(tx: Tx, account_id: str) -> Account:
    """Return the account as it is now; nobody else changes it until the transaction ends. Raises NotFound."""
    for account in await lock_accounts(tx, [account_id]):
        return account
    raise NotFound("There is no such account.")


async def list_memberships(tx: Tx, person_id: str) -> list[Membership]:
    """Return a person's memberships, oldest first; at most 100."""
    statement = (
        select(Membership)
        .where(col(Membership.person_id) == person_id)
        .order_by(col(Membership.created_at), col(Membership.account_id))
        .limit(100)
    )
    return await tx.list(statement)


async def find_membership(tx: Tx, account_id: str, person_id: str) -> Membership | None:
    return await tx.find(
        select(Membership).where(col(Membership.account_id) == account_id, col(Membership.person_id) == person_id)
    )


@dataclass(frozen=True, slots=True)
class Member:
    """A person of an account, as its other members may see them."""

    id: str
    name: str
    email: str
    is_staff: bool
    role: str
    joined_at: datetime


_MEMBERS: Select[str, str, str, bool, str, datetime] = select(
    *(col(Person.id), col(Person.name), col(Person.email), col(Person.is_staff)),
    *(col(Membership.role), col(Membership.created_at).label("joined_at")),
).join(Membership, col(Membership.person_id) == col(Person.id))


async def list_own_memberships(tx: Tx, person_id: str, within: str | None = None) -> list[tuple[Membership, Account]]:
    """Return a person's memberships with their accounts, oldest first; at most 100. `within` selects one account."""
    statement = (
        select(Membership, Account)
        .join(Account, col(Account.id) == col(Membership.account_id))
        .where(col(Membership.person_id) == person_id)
        .order_by(col(Membership.created_at), col(Membership.account_id))
        .limit(100)
    )
    if within is not None:
        statement = statement.where(col(Membership.account_id) == within)
    return [(membership, account) for membership, account in await tx.execute(statement)]


async def list_members(
    tx: Tx, account_id: str, *, most: int, after: tuple[datetime, str] | None = None
) -> list[Member]:
    """Return members, earliest to join first; `after` is (joined_at, id) of the last one seen."""
    place = tuple_(col(Membership.created_at), col(Membership.person_id))
    statement = _MEMBERS.where(col(Membership.account_id) == account_id)
    if after is not None:
        statement = statement.where(place > after)
    rows = await tx.execute(statement.order_by(col(Membership.created_at), col(Membership.person_id)).limit(most))
    return [Member(*row) for row in rows]


async def list_members_by_id(tx: Tx, account_id: str, person_ids: Collection[str]) -> list[Member]:
    """Return those of these people who are members of the account."""
    chosen = _MEMBERS.where(col(Membership.account_id) == account_id, col(Person.id).in_(person_ids))
    return [Member(*row) for row in await tx.execute(chosen)]


async def count_members(tx: Tx, account_id: str) -> int:
    return await tx.get(select(func.count()).where(col(Membership.account_id) == account_id))


async def list_policy_versions(tx: Tx, account_ids: Collection[str]) -> Sequence[tuple[str, int]]:
    """Return (id, version) of those that exist."""
    statement = select(col(Account.id), col(Account.policy_version)).where(col(Account.id).in_(account_ids))
    return [(row.id, row.policy_version) for row in await tx.execute(statement)]


async def lock_policy_version(tx: Tx, account_id: str) -> int | None:
    """Return the version, None for an account that does not exist; the row stays locked until the transaction ends."""
    return await tx.find(select(col(Account.policy_version)).where(col(Account.id) == account_id).with_for_update())


async def suspend_account(tx: Tx, account_id: str) -> bool:
    """Suspend an account; return whether it was not."""
    statement = (
        update(Account)
        .where(col(Account.id) == account_id, col(Account.suspended_at).is_(None))
        .values(suspended_at=tx.now)
        .returning(col(Account.id))
    )
    return await tx.find(statement) is not None


async def update_policy_version(tx: Tx, account_id: str, above: int = 0) -> int:
    """Add one, to `above` at least, and return the new version; the row stays locked until the transaction ends."""
    return await tx.get(
        update(Account)
        .where(col(Account.id) == account_id)
        .values(policy_version=func.greatest(col(Account.policy_version), above) + 1)
        .returning(col(Account.policy_version))
    )
