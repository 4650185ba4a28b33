"""Sign up: a person and their first account, whose owner they are."""

from dataclasses import dataclass

from sqlalchemy.exc import IntegrityError

from portal import audit
from portal.accounts import store
from portal.accounts.models import Account, Membership, Person
from portal.accounts.passwords import hash_password
from portal.accounts.rules import check_password, normal_email
from portal.core.actor import Actor, Role
from portal.core.database import Tx
from portal.core.errors import Conflict
from portal.core.ids import AccountId, new_id
from portal.core.names import check_name


@dataclass(frozen=True, slots=True)
class NewAccount:
    email: str
    password: str
    name: str
    account_name: str


async def sign_up(tx: Tx, new: NewAccount, *, address: str | None = None) -> tuple[Person, Account]:
    """Raises Invalid (with the field), Conflict for a known address."""
    email = normal_email(new.email)
    name = check_name(new.name)
    account_name = check_name(new.account_name, "accountName")
    check_password(new.password, email)
    if await store.find_person_by_email(tx, email) is not None:
        raise _is_known()
    password_hash = await hash_password(new.password)
    person = Person(id=new_id("usr"), email=email, name=name, password_hash=password_hash, created_at=tx.now)
    try:
        async with tx.savepoint():
            await tx.insert(person)
    except IntegrityError:
        # Somebody else took the address between our look and our insert.
        raise _is_known() from None
    account = await tx.insert(Account(id=new_id("acct"), name=account_name, created_at=tx.now))
    await tx.insert(Membership(account_id=account.id, person_id=person.id, role=Role.OWNER.value, created_at=tx.now))
    actor = Actor("person", person.id, AccountId(account.id), role=Role.OWNER, address=address)
    await audit.record(tx, actor, "account.sign_up", account.id)
    return person, account


def _is_known() -> Conflict:
    return Conflict("There is an account for this address.", hint="Sign in instead.", path=("email",))
