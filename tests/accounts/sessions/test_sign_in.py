"""Signing up and in: what is accepted, what is told, how guessing is slowed down."""

import asyncio

import pytest

from portal import accounts
from portal.accounts.identity import passwords
from portal.accounts.rules import check_password, failure_delay_seconds, normal_email
from portal.accounts.sessions.sign_in import Credentials
from portal.core.database import Database
from portal.core.errors import Conflict, Invalid
from portal.core.ids import new_id
from tests.throttle import Unlimited

PASSWORD = "correct horse battery"


async def sign_up(database: Database, email: str) -> None:
    async with database.transaction() as tx:
        await accounts.sign_up(tx, accounts.NewAccount(email, PASSWORD, "Ann", "Acme"))


async def sign_in(database: Database, email: str, password: str, throttle: object | None = None) -> accounts.SignedIn:
    credentials = Credentials(email, password, address=new_id("addr"))
    return await accounts.sign_in(database, credentials, throttle or Unlimited())  # type: ignore[arg-type]  # either will do


def address() -> str:
    return f"{new_id('t').lower()}@example.com"


async def test_the_right_pair_opens_a_session_that_authenticates(database: Database) -> None:
    email = address()
    await sign_up(database, email.upper())
    signed_in = await sign_in(database, f" {email} ", PASSWORD)
    async with database.transaction() as tx:
        known = await accounts.authenticate_session(tx, signed_in.token, None)
        assert known is not None
        assert known.person.email == email
        await accounts.sign_out(tx, signed_in.token)
    async with database.transaction() as tx:
        assert await accounts.authenticate_session(tx, signed_in.token, None) is None


async def test_a_wrong_password_and_an_unknown_address_get_the_same_error(database: Database) -> None:
    email = address()
    await sign_up(database, email)
    texts = []
    for who, password in ((email, "wrong password"), (address(), PASSWORD)):
        with pytest.raises(Invalid) as refused:
            await sign_in(database, who, password)
        texts.append(str(refused.value))
    assert texts[0] == texts[1]


async def test_an_address_is_taken_once_also_when_two_ask_together(database: Database) -> None:
    email = address()
    outcomes = await asyncio.gather(*[sign_up(database, email) for _ in range(3)], return_exceptions=True)
    assert [type(outcome) for outcome in outcomes if outcome is not None] == [Conflict, Conflict]


@pytest.mark.parametrize(
    ("failures", "seconds"), [(0, 0), (4, 0), (5, 1), (6, 2), (10, 32), (14, 512), (15, 900), (500, 900)]
)
def test_the_wait_doubles_up_to_a_quarter_hour(failures: int, seconds: int) -> None:
    assert failure_delay_seconds(failures) == seconds


@pytest.mark.parametrize("password", ["short", "x" * 129, "password123", "PASSWORD123", "ann@example.com"])
def test_weak_passwords_are_refused(password: str) -> None:
    with pytest.raises(Invalid):
        check_password(password, "ann@example.com")


@pytest.mark.parametrize("email", ["", "ann", "ann@", "@b.de", "a b@c.de", "a@b", "a@@b.de", "a@b..de"])
def test_what_is_no_address_is_refused(email: str) -> None:
    with pytest.raises(Invalid):
        normal_email(email)


def test_a_good_address_is_normalised() -> None:
    assert normal_email("  Ann@Example.COM ") == "ann@example.com"


async def test_no_connection_is_held_while_passwords_are_compared(database: Database) -> None:
    """With a pool of one, somebody who asks meanwhile would wait for ever."""
    alone, email = Database(database.url, pool_size=1), address()
    await sign_up(database, email)
    in_use: list[int] = []

    def watched(stored: str | None, password: str) -> bool:
        in_use.append(alone.engine.pool.checkedout())  # type: ignore[attr-defined]  # QueuePool has it
        return compare(stored, password)

    compare = passwords._verify
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passwords, "_verify", watched)
        assert (await sign_in(alone, email, PASSWORD)).person.email == email
    await alone.close()
    assert in_use == [0]
