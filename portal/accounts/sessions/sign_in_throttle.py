"""Throttle guessing of passwords: per address with the product's own limiter, per login by a growing wait.

Each has a shard of its own. While that is away this process throttles by itself: as many tries an address, and
LOCAL_WINDOW a login.
"""

from hashlib import sha256
from time import monotonic_ns

from portal.accounts.rules import failure_delay_seconds
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
    Status,
    Subject,
    Window,
)

ADDRESS_WINDOW = Window(amount=20, window_us=60_000_000)
LOCAL_WINDOW = Window(amount=5, window_us=60_000_000)
FORGET_MS = 24 * 60 * 60 * 1000


class SignInThrottle:
    """Implements `sign_in.Throttle`."""

    def __init__(self, limiter: Limiter) -> None:
        self._limiter = limiter
        self._local_limiter = LocalLimiter(processes=1)

    async def allow(self, email: str, address: str | None) -> None:
        """Let an attempt through, or raise TooManyAttempts, which says how long to wait."""
        name = f"sign-in:{address or 'unknown'}"
        limit_request = LimitRequest(name, 0, Mode.CONSUME, 1, (Subject(name, (ADDRESS_WINDOW,)),), None)
        login = Subject(f"sign-in:{_digest(email)}", (LOCAL_WINDOW,))
        wait_ms: object = 0
        try:
            decision = await self._limiter.decide_one(limit_request)
            if decision.status is Status.RATE_LIMITED:
                raise _too_many(decision.states[0].retry_us // 1000)
        except LimitsUnavailable as error:
            self._take_locally(limit_request.subjects[0], error)
        try:
            wait_ms = await self._call(email, "PTTL", _wait_name(email))
        except LimitsUnavailable as error:
            self._take_locally(login, error)
        if isinstance(wait_ms, int) and wait_ms > 0:
            raise _too_many(wait_ms)

    def _take_locally(self, subject: Subject, error: LimitsUnavailable) -> None:
        get_log(__name__).warning("sign_in_limited_locally", error=str(error))
        wait_us = self._local_limiter.take([(subject, 1)], monotonic_ns() // 1000)
        if wait_us != ADMITS:
            raise _too_many(LOCAL_WINDOW.window_us // 1000 if wait_us == NEVER else wait_us // 1000)

    async def failed(self, email: str) -> None:
        try:
            failures = await self._call(email, "INCR", _failures_name(email))
            await self._call(email, "PEXPIRE", _failures_name(email), FORGET_MS)
            delay = failure_delay_seconds(int(str(failures)))
            if delay:
                await self._call(email, "SET", _wait_name(email), 1, "EX", delay)
        except LimitsUnavailable as error:
            get_log(__name__).warning("sign_in_limited_locally", error=str(error))

    async def succeeded(self, email: str) -> None:
        try:
            await self._call(email, "DEL", _failures_name(email), _wait_name(email))
        except LimitsUnavailable as error:
            get_log(__name__).warning("sign_in_limited_locally", error=str(error))

    async def _call(self, email: str, *command: str | int) -> object:
        return await self._limiter.shard_of(_digest(email)).connection.call(*command)


def _digest(email: str) -> str:
    return sha256(email.encode()).hexdigest()[:32]


def _failures_name(email: str) -> str:
    return f"sign-in-failures:{_digest(email)}"


def _wait_name(email: str) -> str:
    return f"sign-in-wait:{_digest(email)}"


def _too_many(wait_ms: int) -> TooManyAttempts:
    seconds = max(1, -(-wait_ms // 1000))
    return TooManyAttempts(f"Too many attempts. Try again in {seconds} s.", path=("password",))
