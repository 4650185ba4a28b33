"""Sign in with e-mail and password. An unknown address costs the same time and gets the same answer."""

import secrets
from dataclasses import dataclass
from typing import Protocol

from portal import audit
from portal.accounts import store
from portal.accounts.identity import is_password
from portal.accounts.models import Person, Session
from portal.accounts.rules import MAX_PASSWORD_LENGTH, MAX_SESSION_AGE, fold_email, token_digest
from portal.accounts.sessions import store as session_store
from portal.accounts.sessions.devices import add_device, find_device
from portal.core.actor import Actor, Role
from portal.core.database import Database, Tx
from portal.core.errors import Invalid
from portal.core.ids import AccountId, new_id

SIGN_IN = audit.Action("session.sign_in", "signed in")

WRONG = "E-mail address and password do not match."


@dataclass(frozen=True, slots=True)
class SignedIn:
    """`token` and `devices` go into cookies and are stored nowhere."""

    token: str
    person: Person
    session: Session
    devices: str = ""


class SignInTry(Protocol):
    """A try that has taken its place; it ends with one of these."""

    async def fail(self) -> None: ...

    async def succeed(self) -> None: ...

    async def give_back(self) -> None: ...


class Throttle(Protocol):
    """Counts sign-in attempts; the web process gives one that asks the product's own limiter."""

    async def allow(self, email: str, address: str | None, device: str | None = None) -> SignInTry:
        """Take a place for a try, or raise TooManyAttempts, which says how long to wait."""

    async def allow_sign_up(self, address: str | None) -> None:
        """Let somebody sign up, or raise TooManyAttempts."""


@dataclass(frozen=True, slots=True)
class Credentials:
    email: str
    password: str
    address: str | None = None
    user_agent: str | None = None
    devices: str = ""
    """The cookie of devices.py."""


async def sign_in(
    database: Database, credentials: Credentials, throttle: Throttle, max_sessions: int | None = None
) -> SignedIn:
    """Open a session of 12 hours at most. Raises Invalid for a wrong pair, TooManyAttempts.

    The one verb with transactions of its own: comparing passwords takes long and queues, and holds no connection.
    """
    email = fold_email(credentials.email)
    async with database.transaction() as tx:
        person = await store.find_person_by_email(tx, email)
        if person is None:  # an address that was stored before addresses were brought into NFC
            person = await store.find_person_by_email(tx, credentials.email.strip().lower())
    attempt = await throttle.allow(email, credentials.address, find_device(person, credentials.devices))
    stored = person.password_hash if person else None
    try:
        is_right = await is_password(stored, credentials.password[: MAX_PASSWORD_LENGTH + 1])
    except BaseException:
        await attempt.give_back()
        raise
    if not is_right or person is None:
        await attempt.fail()
        raise Invalid(WRONG, hint="Check both, or ask an administrator for a new password.", path=("password",))
    await attempt.succeed()
    async with database.transaction() as tx:
        return await open_session(tx, person, credentials, max_sessions)


async def open_session(tx: Tx, person: Person, credentials: Credentials, max_sessions: int | None = None) -> SignedIn:
    """Open a session for a person who has proved who they are. Raises Invalid for a person without an account.

    Of more than `max_sessions` (None: any number) those end that were unused for longest: nobody is kept out.
    """
    memberships = await store.list_memberships(tx, person.id)
    if not memberships:
        raise Invalid("You are not a member of any account.", hint="Ask for an invitation.", path=("email",))
    if max_sessions is not None:
        await session_store.delete_sessions_beyond(tx, person.id, max_sessions - 1)
    token = secrets.token_urlsafe(32)
    session = await tx.insert(
        Session(
            id=new_id("ses"),
            token_digest=token_digest(token),
            person_id=person.id,
            account_id=memberships[0].account_id,
            address=credentials.address,
            user_agent=(credentials.user_agent or "")[:300],
            created_at=tx.now,
            seen_at=tx.now,
            expires_at=tx.now + MAX_SESSION_AGE,
        )
    )
    role = Role(memberships[0].role)
    actor = Actor("person", person.id, AccountId(session.account_id), role=role, address=credentials.address)
    await audit.record(tx, actor, SIGN_IN, session.id)
    return SignedIn(token, person, session, add_device(person, credentials.devices))
