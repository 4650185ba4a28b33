"""Create a person from the command line: a developer with an account, or staff."""

import secrets
from dataclasses import dataclass

from portal import audit
from portal.accounts.identity.sign_up import NewAccount, sign_up
from portal.accounts.models import Account, Person
from portal.core.actor import SYSTEM
from portal.core.database import Tx

CREATE = audit.Action("user.create", "created the login")


@dataclass(frozen=True, slots=True)
class CreatedUser:
    person: Person
    account: Account
    password: str


async def create_user(
    tx: Tx,
    email: str,
    *,
    is_staff: bool = False,
    password: str | None = None,
    account_name: str | None = None,
) -> CreatedUser:
    """Make a login; without `password` one is drawn and returned. Raises Invalid, Conflict."""
    chosen = password or secrets.token_urlsafe(15)
    who = email.split("@", maxsplit=1)[0] or "user"
    person, account = await sign_up(tx, NewAccount(email, chosen, who, account_name or who))
    if is_staff:
        person.is_staff = True
        await tx.flush()
    await audit.record(tx, SYSTEM, CREATE, person.id, is_staff=is_staff)
    return CreatedUser(person, account, chosen)
