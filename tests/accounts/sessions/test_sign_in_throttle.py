"""How guessing is slowed down: places are taken before passwords are compared, and only failures count."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from hashlib import sha256
from math import ceil, log2
from secrets import token_hex
from time import monotonic

import pytest
from redis.asyncio import Redis

from portal import accounts
from portal.accounts.identity import passwords
from portal.accounts.sessions.devices import MAX_MARKS, add_device, find_device
from portal.accounts.sessions.sign_in import Credentials
from portal.core.database import Database
from portal.core.embedded import EmbeddedServices
from portal.core.errors import Invalid, TooManyAttempts
from portal.core.ids import new_id
from portal.limits import Limiter
from tests.accounts.sessions.test_sign_in import PASSWORD, address, sign_up

WRONG = "wrong password"


@pytest.fixture
async def throttle(services: EmbeddedServices) -> AsyncIterator[accounts.SignInThrottle]:
    limiter = Limiter(services.redis_urls, 1000)
    await limiter.open()
    yield accounts.SignInThrottle(limiter)
    await limiter.close()


@pytest.fixture
def quick_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    """Argon2 of hundreds of tries takes minutes; what is tested is what is around it."""
    monkeypatch.setattr(passwords, "_verify", lambda stored, password: stored is not None and password == PASSWORD)


def origin(number: int = 0) -> str:
    """An address that no other test uses."""
    return f"2001:db8:{token_hex(2)}:{token_hex(2)}::{number:x}"


async def attempt(
    database: Database, throttle: accounts.SignInThrottle, email: str, password: str, where: str, devices: str = ""
) -> str:
    """What became of it: in, wrong or 429."""
    credentials = Credentials(email, password, where, devices=devices)
    try:
        await accounts.sign_in(database, credentials, throttle)
    except Invalid:
        return "wrong"
    except TooManyAttempts:
        return "429"
    return "in"


def assert_five_judged(outcomes: Counter[str], count: int, began: float) -> None:
    """Five of them, and on a slow machine one more for each wait of 1, 2, 4, … s that was over meanwhile."""
    waits_over = int(log2(monotonic() - began + 1))
    assert outcomes["wrong"] in range(5, 6 + waits_over), outcomes
    assert outcomes["429"] == count - outcomes["wrong"]


@pytest.mark.usefixtures("quick_passwords")
@pytest.mark.parametrize("count", [6, 40])
async def test_of_many_wrong_tries_at_once_five_are_judged(
    database: Database, throttle: accounts.SignInThrottle, count: int
) -> None:
    email = address()
    await sign_up(database, email)
    began = monotonic()
    tries = [attempt(database, throttle, email, WRONG, origin()) for _ in range(count)]
    assert_five_judged(Counter(await asyncio.gather(*tries)), count, began)


@pytest.mark.usefixtures("quick_passwords")
async def test_guessing_one_login_waits_longer_and_a_success_forgets_it(
    database: Database, throttle: accounts.SignInThrottle, redis: Redis
) -> None:
    email = address()
    await sign_up(database, email)
    for _ in range(4):
        assert await attempt(database, throttle, email, WRONG, origin()) == "wrong"
    assert await attempt(database, throttle, email, PASSWORD, origin()) == "in"
    for _ in range(5):
        assert await attempt(database, throttle, email, WRONG, origin()) == "wrong"
    waits, key = [], f"sign-in-wait:{sha256(email.encode()).hexdigest()[:32]}"
    for _ in range(4):
        waits.append(await redis.pttl(key))
        await redis.pexpire(key, 60_000)
        assert await attempt(database, throttle, email, PASSWORD, origin()) == "429"
        await redis.delete(key)
        assert await attempt(database, throttle, email, WRONG, origin()) == "wrong"
    assert [ceil(wait / 1000) for wait in waits] == [1, 2, 4, 8]


@pytest.mark.usefixtures("quick_passwords")
async def test_correct_sign_ins_of_many_people_behind_one_address_are_never_refused(
    database: Database, throttle: accounts.SignInThrottle
) -> None:
    emails = [address() for _ in range(60)]
    for email in emails:
        await sign_up(database, email)
    where = origin()
    for _ in range(2):
        tries = [attempt(database, throttle, email, PASSWORD, where) for email in emails]
        assert Counter(await asyncio.gather(*tries)) == {"in": 60}


@pytest.mark.usefixtures("quick_passwords")
async def test_an_address_fails_twenty_times_a_minute_whoever_is_guessed(
    database: Database, throttle: accounts.SignInThrottle
) -> None:
    where = origin(1)
    neighbour, other = where.replace("::1", "::ffff:1"), origin()
    tries = [attempt(database, throttle, address(), WRONG, where if n % 2 else neighbour) for n in range(60)]
    assert Counter(await asyncio.gather(*tries)) == {"wrong": 20, "429": 40}
    assert await attempt(database, throttle, address(), WRONG, where) == "429"
    assert await attempt(database, throttle, address(), WRONG, other) == "wrong"


async def test_ipv4_addresses_are_counted_each_in_every_spelling(
    database: Database, throttle: accounts.SignInThrottle
) -> None:
    first = f"198.18.{int(token_hex(1), 16)}.{int(token_hex(1), 16)}"
    for _ in range(20):
        await (await throttle.allow(address(), f"::ffff:{first}")).fail()
    with pytest.raises(TooManyAttempts):
        await throttle.allow(address(), first)
    await (await throttle.allow(address(), "198.19.0.1")).give_back()


@pytest.mark.usefixtures("quick_passwords")
async def test_a_device_that_has_signed_in_before_keeps_its_own_wait(
    database: Database, throttle: accounts.SignInThrottle
) -> None:
    email, other, where = address(), address(), origin()
    await sign_up(database, email)
    await sign_up(database, other)
    devices = (await accounts.sign_in(database, Credentials(email, PASSWORD, where), throttle)).devices
    assert devices
    began = monotonic()
    flood = [attempt(database, throttle, email, WRONG, origin()) for _ in range(30)]
    assert_five_judged(Counter(await asyncio.gather(*flood)), 30, began)
    for _ in range(30):
        await attempt(database, throttle, address(), WRONG, where)
    assert await attempt(database, throttle, email, PASSWORD, where, devices) == "in"
    assert await attempt(database, throttle, other, PASSWORD, where, devices) == "429", "it is known to one person only"
    began = monotonic()
    stolen = [attempt(database, throttle, email, WRONG, origin(), devices) for _ in range(30)]
    assert_five_judged(Counter(await asyncio.gather(*stolen)), 30, began)


async def test_a_device_is_known_to_its_people_with_their_present_passwords(database: Database) -> None:
    people, cookie = [], ""
    for number in range(MAX_MARKS + 1):
        email = f"{number}.{address()}"
        async with database.transaction() as tx:
            person, _ = await accounts.sign_up(tx, accounts.NewAccount(email, PASSWORD, "Ann", "Acme"))
        people.append(person)
        cookie = add_device(person, cookie)
        assert add_device(person, cookie) == cookie
    assert find_device(people[0], cookie) is None, "the oldest mark made room"
    known = [find_device(person, cookie) for person in people[1:]]
    assert None not in known
    assert len({*known}) == MAX_MARKS
    mark = cookie.split("~")[-1]
    assert find_device(people[1], mark) == known[0]
    for spoilt in ("", mark[1:], mark.replace(".", "-"), mark[:-1] + "z", mark * 100, "é" * 70, f"{known[0]}.", "~~~"):
        assert find_device(people[1], spoilt) is None
    people[-1].password_hash = "another"  # no password
    assert find_device(people[-1], cookie) is None


async def test_a_try_that_was_broken_off_gives_its_place_back(
    database: Database, throttle: accounts.SignInThrottle, monkeypatch: pytest.MonkeyPatch
) -> None:
    email, where = address(), origin()
    await sign_up(database, email)

    def broken(stored: str | None, password: str) -> bool:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(passwords, "_verify", broken)
        for _ in range(30):
            with pytest.raises(MemoryError):
                await accounts.sign_in(database, Credentials(email, PASSWORD, where), throttle)
    assert await attempt(database, throttle, email, PASSWORD, where) == "in"


async def test_signing_up_has_an_allowance_of_its_own(throttle: accounts.SignInThrottle) -> None:
    where = origin(1)
    for number in range(20):
        await throttle.allow_sign_up(where.replace("::1", f"::{number:x}"))
    with pytest.raises(TooManyAttempts):
        await throttle.allow_sign_up(where)
    await (await throttle.allow(new_id("t"), where)).give_back()
    await throttle.allow_sign_up(origin())


@pytest.fixture
async def alone() -> AsyncIterator[accounts.SignInThrottle]:
    """A throttle without Redis."""
    away = Limiter(["redis://127.0.0.1:9"], 50)
    await away.open()
    yield accounts.SignInThrottle(away)
    await away.close()


def kinds(outcomes: list[object]) -> Counter[bool]:
    return Counter(isinstance(outcome, TooManyAttempts) for outcome in outcomes)


async def test_without_redis_one_login_has_five_tries_a_minute_from_anywhere(alone: accounts.SignInThrottle) -> None:
    email = address()
    outcomes = await asyncio.gather(*[alone.allow(email, origin()) for _ in range(40)], return_exceptions=True)
    assert kinds([*outcomes]) == {False: 5, True: 35}
    assert "Try again in 60 s" in str(next(each for each in outcomes if isinstance(each, TooManyAttempts)))
    for attempt in outcomes:
        if not isinstance(attempt, BaseException):
            await attempt.fail()
            await attempt.succeed()
            await attempt.give_back()


async def test_without_redis_one_address_has_twenty_tries_a_minute(alone: accounts.SignInThrottle) -> None:
    where = origin()
    outcomes = await asyncio.gather(*[alone.allow(address(), where) for _ in range(60)], return_exceptions=True)
    assert kinds([*outcomes]) == {False: 20, True: 40}
    await alone.allow(address(), origin())
    signed_up = await asyncio.gather(*[alone.allow_sign_up(where) for _ in range(60)], return_exceptions=True)
    assert kinds([*signed_up]) == {False: 20, True: 40}
