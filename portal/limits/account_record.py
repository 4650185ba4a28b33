"""What Redis knows of an account's policies: the version, and a tombstone of each change. See raise_version.lua."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec

from portal.limits.limiter import Limiter, Script

PREFIX = b"tombstone:"
TIMEOUT_SECONDS = 1.0
SCAN_TIMEOUT_SECONDS = 5.0
SCAN_COUNT = 1000
RESEED = Script("reseed.lua")


class AccountRecord(msgspec.Struct, frozen=True):
    """`tombstones`: the last state of each key and secret that changed, by id, whatever the fields of a state are."""

    version: int
    tombstones: dict[str, dict[str, Any]]


class AccountRecords:
    """The records of all shards, for whoever compares them with PostgreSQL. Everything raises LimitsUnavailable."""

    def __init__(self, limiter: Limiter) -> None:
        self._limiter = limiter

    async def read_version(self, account_id: str) -> int | None:
        """Return the account's policy version that Redis knows."""
        connection = self._limiter.shard_of(account_id).connection
        reply = await connection.call("HGET", f"account:{account_id}", "version", timeout_seconds=TIMEOUT_SECONDS)
        return int(reply) if isinstance(reply, bytes) and reply.isdigit() else None

    async def read(self, account_id: str) -> AccountRecord | None:
        """Return an account's record, None where Redis has no version of it."""
        connection = self._limiter.shard_of(account_id).connection
        return _decode(await connection.call("HGETALL", f"account:{account_id}", timeout_seconds=TIMEOUT_SECONDS))

    async def list_accounts(self) -> AsyncIterator[list[str]]:
        """Return the ids of the accounts that have a record, in portions; one may come twice."""
        for shard in self._limiter.shards():
            cursor = "0"
            while True:
                scan = ("SCAN", cursor, "MATCH", "account:acct_*", "COUNT", SCAN_COUNT)
                reply, names = await shard.connection.call(*scan, timeout_seconds=SCAN_TIMEOUT_SECONDS)
                yield [name.decode().removeprefix("account:") for name in names]
                if (cursor := reply.decode()) == "0":
                    break

    async def reseed(self, account_id: str) -> None:
        """Forget the account's counted units: the next check takes them from PostgreSQL."""
        await self._limiter.shard_of(account_id).run_script(RESEED, [f"account:{account_id}"], [])


def _decode(reply: Sequence[bytes]) -> AccountRecord | None:
    """Return the record in the reply to HGETALL, None without a version. An unreadable tombstone is left out."""
    fields = dict(zip(reply[::2], reply[1::2], strict=True))
    version = fields.get(b"version", b"")
    if not version.isdigit():
        return None
    tombstones = {}
    for name, value in fields.items():
        if name.startswith(PREFIX):
            try:
                tombstones[name.removeprefix(PREFIX).decode()] = msgspec.json.decode(value.split(b" ", 2)[2], type=dict)
            except (IndexError, msgspec.DecodeError):
                continue
    return AccountRecord(int(version), tombstones)
