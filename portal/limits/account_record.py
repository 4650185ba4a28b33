"""What Redis knows of an account's policies: the version, and a tombstone of each change. See raise_version.lua."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec

from portal.limits.limiter import Limiter, Script

TOMBSTONE, PREVIOUS = "tombstone", "previous"
BURST_US = 60_000_000
"""For so long after it was replaced a previous tombstone counts, before the newest one of the account."""
TIMEOUT_SECONDS = 1.0
SCAN_TIMEOUT_SECONDS = 5.0
SCAN_COUNT = 1000
RESEED = Script("reseed.lua")


class AccountRecord(msgspec.Struct, frozen=True):
    """`tombstones`: the last state of each key and secret that changed, by id, whatever the fields of a state are.

    `previous`: states that were replaced within the account's last minute of changes, each id once in a part.
    """

    version: int
    tombstones: dict[str, dict[str, Any]]
    previous: tuple[dict[str, dict[str, Any]], ...] = ()


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
    tombstones: dict[str, dict[str, Any]] = {}
    previous: list[tuple[int, str, dict[str, Any]]] = []
    newest = 0
    for name, value in fields.items():
        prefix, _, id_ = name.decode().partition(":")
        try:
            if prefix == TOMBSTONE:
                _, at, state = value.split(b" ", 2)
                tombstones[id_] = msgspec.json.decode(state, type=dict)
                newest = max(newest, int(at))
            elif prefix == PREVIOUS:
                parts = [line.split(b" ", 1) for line in value.split(b"\n")]
                previous += [(int(at), id_, msgspec.json.decode(state, type=dict)) for at, state in parts]
        except (ValueError, msgspec.DecodeError):
            continue
    recent = [(id_, state) for at, id_, state in previous if at >= newest - BURST_US]
    return AccountRecord(int(version), tombstones, _parts(recent))


def _parts(states: Sequence[tuple[str, dict[str, Any]]]) -> tuple[dict[str, dict[str, Any]], ...]:
    """Return the states in as few parts as have each id once."""
    parts: list[dict[str, dict[str, Any]]] = []
    for id_, state in states:
        part = next((part for part in parts if id_ not in part), None)
        if part is None:
            parts.append(part := {})
        part[id_] = state
    return tuple(parts)
