"""Sign up: a person and their first account, whose owner they are."""

from dataclasses import dataclass

from sqlalchemy.exc import IntegrityError

from portal import audit
from portal.accounts import store
from portal.accounts.identity.passwords import hash_password
from portal.accounts.models import Account, Membership, Person
from portal.accounts.rules import check_password, check_time_zone, normal_email
from portal.core.actor import Actor, Role
from portal.core.database import Tx
from portal.core.errors import Conflict
from portal.core.ids import AccountId, new_id
from portal.core.texts import check_name

SIGN_UP = audit.Action("account.sign_up", "opened the account")


@dataclass(frozen=True, slots=True)
class NewAccount:
    email: str
    password: str
    name: str
    account_name: str
    time_zone: str = "UTC"


async def hash_new_password(new: NewAccount) -> str:
    """Hash the password for `sign_up` before its transaction, so that none is open meanwhile. Raises Invalid."""
    _check(new)
    return await hash_password(new.password)


async def sign_up(
    tx: Tx, new: NewAccount, *, address: str | None = None, password_hash: str | None = None
) -> tuple[Person, Account]:
    """Create a person and their account. Raises Invalid (with the field), Conflict for a known address.

    `password_hash` comes from `hash_new_password`; without it the password is hashed here.
    """
    email, name, account_name = _check(new)
    if await store.find_person_by_email(tx, email) is not None:
        raise _is_known()
    hashed = password_hash or await hash_password(new.password)
    person = Person(id=new_id("usr"), email=email, name=name, password_hash=hashed, created_at=tx.now)
    try:
        async with tx.savepoint():
            await tx.insert(person)
    except IntegrityError:
        # Somebody else took the address between our look and our insert.
        raise _is_known() from None
    account = await tx.insert(Account(id=new_id("acct"), name=account_name, time_zone=new.time_zone, created_at=tx.now))
    await tx.insert(Membership(account_id=account.id, person_id=person.id, role=Role.OWNER.value, created_at=tx.now))
    actor = Actor("person", person.id, AccountId(account.id), role=Role.OWNER, address=address)
    await audit.record(tx, actor, SIGN_UP, account.id)
    return person, account


def _check(new: NewAccount) -> tuple[str, str, str]:
    """Return e-mail address, name and account name as they are stored. Raises Invalid."""
    email = normal_email(new.email)
    names = check_name(new.name), check_name(new.account_name, "accountName")
    check_password(new.password, email)
    check_time_zone(new.time_zone)
    return email, *names


def _is_known() -> Conflict:
    return Conflict("There is an account for this address.", hint="Sign in instead.", path=("email",))
