"""One Redis shard: all checks of an event-loop turn travel in one script call.

The first check of a turn schedules a flush; behind a crowd in flight, checks gather and leave when a batch is answered.
No timer and no added delay at low load. A batch that fails takes those along that gathered behind it.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from hashlib import sha1
from pathlib import Path
from time import monotonic_ns

import hiredis

from portal.limits.breaker import CircuitBreaker
from portal.limits.connection import Connection
from portal.limits.link import LimitsUnavailable, Reply
from portal.limits.requests import Decision, LimitRequest, Status, decode_decisions, encode_call

MAX_BATCH = 128
CROWD = 16
"""So many checks in flight are worth waiting for; behind fewer, others are sent at once."""
TIMEOUT_SECONDS = 1.0
_FOLDER = Path(__file__).parent

OnDecision = Callable[[Decision | LimitsUnavailable], None]
Batch = list[tuple[LimitRequest, OnDecision]]


class Script:
    """Lua files, one after the other, and the name under which a server knows them."""

    def __init__(self, *files: str) -> None:
        self.source = b"".join((_FOLDER / file).read_bytes() for file in files)
        self.sha = sha1(self.source, usedforsecurity=False).hexdigest().encode()


DECIDE = Script("sliding_window.lua", "token_bucket.lua", "decide.lua")
ADD_USED = Script("add_used.lua")
RAISE_USED = Script("raise_used.lua")
RAISE_VERSION = Script("raise_version.lua")


class Shard:
    """`decide` is the hot path and takes callbacks; the rest awaits."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._waiting: Batch = []
        self._in_flight = 0
        self._is_scheduled = False
        self._ahead_us: int | None = None
        """How far Redis's clock is ahead of this process's monotonic one, as of the last reply."""
        self._unreadable = LimitsUnavailable(f"{connection.name} holds a state that it cannot read")
        self.breaker = CircuitBreaker()
        connection.on_connected = self.breaker.close

    def decide(self, request: LimitRequest, on_decision: OnDecision) -> None:
        """`on_decision` is called once, within the deadline, with the decision or LimitsUnavailable."""
        if not self._waiting and not self.breaker.may_pass():
            on_decision(LimitsUnavailable(f"{self.connection.name} failed too often and is left alone for a while"))
            return
        self._waiting.append((request, on_decision))
        if self._in_flight < CROWD and not self._is_scheduled:
            self._is_scheduled = True
            asyncio.get_running_loop().call_soon(self._flush)

    async def run(self, script: Script, keys: list[str], arguments: list[str | int]) -> Reply:
        """Run a small script and wait. Raises LimitsUnavailable."""
        try:
            return await self._call("EVALSHA", script.sha, len(keys), *keys, *arguments)
        except hiredis.ReplyError as error:
            if not _is_unknown_script(error):
                raise
            return await self._call("EVAL", script.source, len(keys), *keys, *arguments)

    async def _call(self, *command: bytes | str | int) -> Reply:
        """Nobody's check waits for these, so a busy server gets its time."""
        return await self.connection.call(*command, patience_s=TIMEOUT_SECONDS)

    def _flush(self) -> None:
        self._is_scheduled = False
        if self._in_flight >= CROWD or not self._waiting:
            return
        batch, self._waiting = self._waiting[:MAX_BATCH], self._waiting[MAX_BATCH:]
        self._in_flight += len(batch)
        self._send(batch, b"EVALSHA", DECIDE.sha)

    def _send(self, batch: Batch, *script: bytes, is_again: bool = False) -> None:
        try:
            command = encode_call(script, [request for request, _ in batch], self._latest_us())
        except Exception as error:
            # What cannot be said ends like what is not answered, or this shard would wait for it for ever.
            self._in_flight -= len(batch)
            self._fail(batch, error)
            return
        self.connection.write(partial(self._answered, batch, is_again), command)

    def _answered(self, batch: Batch, is_again: bool, reply: Reply) -> None:
        if _is_unknown_script(reply):
            self._send(batch, b"EVAL", DECIDE.source, is_again=is_again)
            return
        if isinstance(reply, Exception):
            self._in_flight -= len(batch)
            self._fail(batch, reply)
            return
        try:
            now_us, decisions = decode_decisions(reply)
        except Exception as error:
            self._in_flight -= len(batch)
            self._fail(batch, error)
            return
        self._ahead_us = now_us - monotonic_ns() // 1000
        if not decisions and not is_again:
            # By its clock nobody waits any more, and yet somebody does: that clock was set forward.
            self._send(batch, b"EVALSHA", DECIDE.sha, is_again=True)
            return
        self._in_flight -= len(batch)
        if not decisions:
            self._fail(batch, LimitsUnavailable(f"{self.connection.name} came to it too late"))
            return
        self.breaker.succeeded(len(batch))
        self._flush()  # first, so that the server works while these are answered
        for (_, on_decision), decision in zip(batch, decisions, strict=True):
            on_decision(decision if decision.status is not Status.FAILED else self._unreadable)

    def _latest_us(self) -> int:
        """When the callers' deadline is over, by Redis's clock; 0 if that is not known."""
        if self._ahead_us is None:
            return 0
        return monotonic_ns() // 1000 + self._ahead_us + int(self.connection.deadline_s * 1_000_000)

    def _fail(self, batch: Batch, error: Exception) -> None:
        self.connection.note_refusal(error)
        gathered, self._waiting = self._waiting, []
        self.breaker.failed(len(batch) + len(gathered))
        reason = error if isinstance(error, LimitsUnavailable) else LimitsUnavailable(str(error))
        for _, on_decision in [*batch, *gathered]:
            on_decision(reason)


def _is_unknown_script(reply: Reply) -> bool:
    return isinstance(reply, hiredis.ReplyError) and str(reply).startswith("NOSCRIPT")
