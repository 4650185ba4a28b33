"""Argon2id off the event loop, at most two at once: each takes 19 MiB and some 20 ms of a core."""

import asyncio
from functools import lru_cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

_hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)


@lru_cache(maxsize=1)
def _slots(loop: asyncio.AbstractEventLoop) -> asyncio.Semaphore:
    return asyncio.Semaphore(2)


async def hash_password(password: str) -> str:
    async with _slots(asyncio.get_running_loop()):
        return await asyncio.to_thread(_hasher.hash, password)


async def is_password(stored: str | None, password: str) -> bool:
    """Return whether the password matches. Without a stored hash it does the same work and returns False."""
    async with _slots(asyncio.get_running_loop()):
        return await asyncio.to_thread(_verify, stored, password)


@lru_cache(maxsize=1)
def _decoy() -> str:
    return _hasher.hash("nobody has this password")


def _verify(stored: str | None, password: str) -> bool:
    try:
        return _hasher.verify(stored or _decoy(), password) and stored is not None
    except (VerificationError, InvalidHashError):
        return False
