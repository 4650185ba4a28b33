"""Copies of known policies in Redis for the length of an outage of PostgreSQL.

In ordinary times Redis holds a policy for ten minutes. While PostgreSQL fails, each process keeps there what it knows
and Redis finds current, so that a process which starts in the meantime, hours later too, can answer.
"""

import asyncio
from collections.abc import Iterable
from functools import partial
from time import monotonic, time
from typing import Any

import msgspec

from portal.check.policy.compile import KeyPolicy
from portal.limits import Limiter, LimitsUnavailable

EVERY_SECONDS = 300.0
BATCH_SIZE = 100
PAUSE_SECONDS = 0.05
"""Between batches, so that a cache of 100,000 keys takes a minute and checks do not wait for it."""


class PolicyCopy(msgspec.Struct, frozen=True):
    """`confirmed_at`: when PostgreSQL said so, seconds since 1970."""

    confirmed_at: float
    policy: KeyPolicy


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(PolicyCopy).decode


class PolicyBackup:
    """Writes and reads the copies; one instance a process."""

    def __init__(self, limiter: Limiter, outage_seconds: float) -> None:
        self._limiter = limiter
        self._outage_seconds = outage_seconds
        self._task: asyncio.Task[None] | None = None
        self._due_at = 0.0

    def keep(self, known: Iterable[tuple[bytes, KeyPolicy, float]]) -> None:
        """Write what is known (digest, policy, when it was loaded) in the background, every five minutes at most."""
        if monotonic() < self._due_at:
            return
        self._due_at = monotonic() + EVERY_SECONDS
        self._task = asyncio.create_task(self._write([*known]))

    async def find(self, digest: bytes) -> tuple[KeyPolicy, float] | None:
        """Return the copy of a policy and its age in seconds, if there is one that may still be used."""
        name = _name(digest)
        try:
            body = await self._limiter.shard_of(name).connection.call("GET", name)
            copy = _decode(body) if isinstance(body, bytes) else None
        except (LimitsUnavailable, msgspec.MsgspecError):
            return None
        if copy is None:
            return None
        age = max(0.0, time() - copy.confirmed_at)
        return (copy.policy, age) if age < self._outage_seconds else None

    async def close(self) -> None:
        """Stop writing."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _write(self, known: list[tuple[bytes, KeyPolicy, float]]) -> None:
        for first in range(0, len(known), BATCH_SIZE):
            for digest, policy, loaded_at in known[first : first + BATCH_SIZE]:
                account = f"account:{policy.account_id}"
                write = partial(self._write_if_current, digest, policy, loaded_at)
                self._limiter.shard_of(policy.account_id).connection.send(write, "HGET", account, "version")
            await asyncio.sleep(PAUSE_SECONDS)

    def _write_if_current(self, digest: bytes, policy: KeyPolicy, loaded_at: float, version: Any) -> None:
        """Write a policy that its account's record does not call stale: another process may know a newer one."""
        age = monotonic() - loaded_at
        seconds = int(self._outage_seconds - age)
        if not isinstance(version, bytes) or not version.isdigit() or int(version) > policy.version or seconds < 1:
            return
        name, body = _name(digest), _encode(PolicyCopy(time() - age, policy))
        self._limiter.shard_of(name).connection.send(_ignore, "SET", name, body, "EX", seconds)


def _name(digest: bytes) -> str:
    return f"known-policy:{digest.hex()}"


def _ignore(_reply: object) -> None:
    """Take the reply to a write: a lost one is repeated with the next round."""
