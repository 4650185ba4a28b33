"""Throttle guessing of passwords: by login with a growing wait, by address, and apart for devices that are known.

A try takes its place before the password is compared, in one atomic step of Redis, and gives it back when the password
was right. So of 40 tries at once no more are judged than may fail, and what succeeds is never counted against anybody:

    login    5 failures, then a wait of 1 s that doubles up to 15 min
    address  20 failures a minute, IPv6 by its /64; tries under way count until they end, and others wait for them
    device   one that has signed in before has failures and a wait of its own, and neither of the above: whoever guesses
             from elsewhere keeps nobody out

Signing up has an allowance by address of its own. Each of these has a shard of its own. While that is away this process
throttles by itself: 20 tries a minute and address, 5 a minute and login, and nothing is given back.
"""

import asyncio
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from secrets import token_hex
from time import monotonic_ns

from portal.accounts.rules import failure_delay_seconds
from portal.core.addresses import address_group
from portal.core.errors import TooManyAttempts
from portal.core.logs import get_log
from portal.limits import (
    ADMITS,
    NEVER,
    Limiter,
    LimitRequest,
    LimitsUnavailable,
    LocalLimiter,
    Mode,
    Script,
    Status,
    Subject,
    Window,
)

MAX_ADDRESS_FAILURES = 20
ADDRESS_WINDOW_MS = 60_000
TRY_MS = 30_000
"""A try that has not ended by then, since its process died, holds its place no longer."""
PATIENCE_SECONDS, POLL_SECONDS = 10.0, 0.05
"""How long a try waits for others of its address to end."""
ADDRESS_WINDOW = Window(amount=20, window_us=60_000_000)
"""What an address may sign up, and try while Redis is away."""
LOCAL_WINDOW = Window(amount=5, window_us=60_000_000)
FORGET_MS = 24 * 60 * 60 * 1000
DELAYS = [failure_delay_seconds(failures) for failures in range(1, 17)]
_FOLDER = Path(__file__).parent
_TAKE_LOGIN = Script(_FOLDER / "take_login.lua")
_TAKE_ADDRESS = Script(_FOLDER / "take_address.lua")
_END_ADDRESS = Script(_FOLDER / "end_address.lua")


class SignInThrottle:
    """Implements `sign_in.Throttle`."""

    def __init__(self, limiter: Limiter) -> None:
        self._limiter = limiter
        self._local = _LocalThrottle()

    async def allow(self, email: str, address: str | None, device: str | None = None) -> "SignInTry":
        """Take a place for a try, or raise TooManyAttempts, which says how long to wait. End the try that is returned.

        `device` is the id of one that has signed in with this e-mail address before.
        """
        login = _digest(email) if device is None else f"{_digest(email)}:{device}"
        attempt = SignInTry(
            self._limiter, self._local, login, None if device is not None else address_group(address or "unknown")
        )
        await attempt.take()
        return attempt

    async def allow_sign_up(self, address: str | None) -> None:
        """Let somebody sign up, or raise TooManyAttempts: every try counts."""
        name = f"sign-up:{address_group(address or 'unknown')}"
        request = LimitRequest(name, 0, Mode.CONSUME, 1, (Subject(name, (ADDRESS_WINDOW,)),), None)
        try:
            decision = await self._limiter.decide_one(request)
        except LimitsUnavailable as error:
            self._local.take(name, ADDRESS_WINDOW, error)
            return
        if decision.status is Status.RATE_LIMITED:
            raise _too_many(decision.states[0].retry_us // 1000)


class _LocalThrottle:
    """What this process lets through by itself while a shard is away."""

    def __init__(self) -> None:
        self._limiter = LocalLimiter(processes=1)

    def take(self, name: str, window: Window, error: LimitsUnavailable) -> None:
        """Count a try. Raises TooManyAttempts."""
        _log_local(error)
        wait_us = self._limiter.take([(Subject(name, (window,)), 1)], monotonic_ns() // 1000)
        if wait_us != ADMITS:
            raise _too_many(window.window_us // 1000 if wait_us == NEVER else wait_us // 1000)


class SignInTry:
    """A place that a try has taken. It ends with `fail`, `succeed` or, where nobody knows, `give_back`."""

    def __init__(self, limiter: Limiter, local: _LocalThrottle, login: str, address: str | None) -> None:
        self._limiter = limiter
        self._local = local
        self._name = token_hex(8)
        self._login = login
        self._address = address
        self._delay_seconds = 0
        self._has_login = self._has_address = False

    async def take(self) -> None:
        """Take the places. Raises TooManyAttempts."""
        if self._address is not None:
            await self._take_address()
        try:
            reply = await self._run(self._login, _TAKE_LOGIN, self._login_keys(), [FORGET_MS, *DELAYS])
        except LimitsUnavailable as error:
            try:
                self._local.take(f"sign-in:{self._login}", LOCAL_WINDOW, error)
            except TooManyAttempts:
                await self._end_address(is_failure=False)
                raise
            return
        wait_ms, self._delay_seconds = _numbers(reply)
        if wait_ms:
            await self._end_address(is_failure=False)
            raise _too_many(wait_ms)
        self._has_login = True

    async def fail(self) -> None:
        """Count the try as failed; the login's wait begins now."""
        await self._end_address(is_failure=True)
        if self._has_login and self._delay_seconds:
            await self._call("SET", self._login_keys()[1], 1, "EX", self._delay_seconds)

    async def succeed(self) -> None:
        """Give the place back and forget what failed before."""
        await self._end_address(is_failure=False)
        if self._has_login:
            await self._call("DEL", *self._login_keys())

    async def give_back(self) -> None:
        """Give the place back: the password was not compared."""
        await self._end_address(is_failure=False)
        if self._has_login:
            await self._call("DECR", self._login_keys()[0])

    async def _take_address(self) -> None:
        arguments: list[str | int] = [self._name, MAX_ADDRESS_FAILURES, TRY_MS]
        until = asyncio.get_running_loop().time() + PATIENCE_SECONDS
        while True:
            try:
                reply = await self._run(str(self._address), _TAKE_ADDRESS, self._address_keys(), arguments)
            except LimitsUnavailable as error:
                self._local.take(f"sign-in:{self._address}", ADDRESS_WINDOW, error)
                return
            (wait_ms,) = _numbers([reply])
            if wait_ms == 0:
                self._has_address = True
                return
            if wait_ms > 0 or asyncio.get_running_loop().time() >= until:
                raise _too_many(wait_ms)
            await asyncio.sleep(POLL_SECONDS)

    async def _end_address(self, *, is_failure: bool) -> None:
        if not self._has_address:
            return
        self._has_address = False
        try:
            arguments: list[str | int] = [self._name, int(is_failure), ADDRESS_WINDOW_MS]
            await self._run(str(self._address), _END_ADDRESS, self._address_keys(), arguments)
        except LimitsUnavailable as error:
            _log_local(error)

    async def _run(self, name: str, script: Script, keys: list[str], arguments: list[str | int]) -> object:
        return await self._limiter.shard_of(name).run_script(script, keys, arguments)

    async def _call(self, *command: str | int) -> None:
        try:
            await self._limiter.shard_of(self._login).connection.call(*command)
        except LimitsUnavailable as error:
            _log_local(error)

    def _login_keys(self) -> list[str]:
        return [f"sign-in-failures:{self._login}", f"sign-in-wait:{self._login}"]

    def _address_keys(self) -> list[str]:
        return [f"sign-in-address:{self._address}", f"sign-in-tries:{self._address}"]


def _digest(email: str) -> str:
    return sha256(email.encode()).hexdigest()[:32]


def _numbers(reply: object) -> Sequence[int]:
    assert isinstance(reply, list)  # noqa: S101  # the scripts above return nothing else
    return reply


def _log_local(error: LimitsUnavailable) -> None:
    get_log(__name__).warning("sign_in_limited_locally", error=str(error))


def _too_many(wait_ms: int) -> TooManyAttempts:
    seconds = max(1, -(-wait_ms // 1000))
    return TooManyAttempts(f"Too many attempts. Try again in {seconds} s.", path=("password",))
