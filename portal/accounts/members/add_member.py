"""Add a member: a new person in the actor's account, with a role and without an account of their own."""

from dataclasses import dataclass

from portal import audit
from portal.accounts import store
from portal.accounts.models import Membership, Person
from portal.accounts.rules import normal_email
from portal.core.actor import Actor, Permission, Role, requires
from portal.core.database import Tx
from portal.core.errors import Conflict, Forbidden
from portal.core.ids import new_id
from portal.core.texts import check_name

ADD = audit.Action("member.add", "added")


@dataclass(frozen=True, slots=True)
class NewMember:
    email: str
    name: str
    role: Role


@requires(Permission.ACCOUNT_WRITE)
async def add_member(tx: Tx, actor: Actor, new: NewMember) -> Person:
    """Add a person without a password, who cannot sign in yet. Raises Invalid, Forbidden, Conflict (known address)."""
    if new.role is Role.OWNER and actor.role is not Role.OWNER:
        raise Forbidden("Only an owner can make an owner.", path=("role",))
    email = normal_email(new.email)
    name = check_name(new.name)
    if await store.find_person_by_email(tx, email) is not None:
        raise Conflict("There is somebody with this address.", hint="Use another address.", path=("email",))
    person = await tx.insert(Person(id=new_id("usr"), email=email, name=name, created_at=tx.now))
    await tx.insert(
        Membership(account_id=actor.account_id, person_id=person.id, role=new.role.value, created_at=tx.now)
    )
    await audit.record(tx, actor, ADD, person.id, role=new.role.value)
    return person
