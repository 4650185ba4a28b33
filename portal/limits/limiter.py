"""The limiter: finds an account's shard and asks it; all checks of an event-loop turn travel in one script call.

The first check of a turn schedules a flush. Behind a full load in flight, checks gather and leave when a batch is
answered: no timer, and no added delay at low load. A batch that fails takes those along that gathered behind it. A
shard that mostly fails is not asked for a while (its circuit breaker is open), so that nobody waits for what will not
come.
"""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from hashlib import sha1
from pathlib import Path
from time import monotonic, monotonic_ns

import hiredis

from portal.core.concurrency.waiting import wait_for_callback
from portal.core.redis.ring import RendezvousRing
from portal.limits.redis_link import LimitsUnavailable, RedisConnection, Reply
from portal.limits.requests import Decision, LimitRequest, QuotaCorrection, Status, decode_decisions, encode_call

MAX_BATCH = 128
GATHER_THRESHOLD = 16
"""Behind so many checks in flight others gather; behind fewer they are sent at once."""
SCRIPT_TIMEOUT_SECONDS = 1.0
PING_TIMEOUT_SECONDS = 1.0
BREAKER_WINDOW_SECONDS = 1.0
BREAKER_MIN_CALLS = 20
BREAKER_FAILED_SHARE = 0.5
BREAKER_OPEN_SECONDS = 5.0
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


class CircuitBreaker:
    """Opens when half of 20 or more checks within a second fail; after 5 s one batch tries, and decides."""

    def __init__(self) -> None:
        self.open_count = 0
        """How often it has opened since the start."""
        self._calls = 0
        self._failures = 0
        self._window_ends = 0.0
        self._open_until = 0.0
        self._is_half_open = False

    def may_pass(self) -> bool:
        """Return whether to ask at all; after an open phase the first to ask is the trial."""
        if self._open_until == 0.0:
            return True
        if self._is_half_open or monotonic() < self._open_until:
            return False
        self._is_half_open = True
        return True

    def close(self) -> None:
        """Let everything pass: the shard answers again."""
        self._open_until, self._is_half_open = 0.0, False
        self._calls = self._failures = 0

    def record_success(self, calls: int) -> None:
        """Count calls that were answered; the first after an open phase close it."""
        if self._open_until:
            self.close()
        self._count(calls, 0)

    def record_failure(self, calls: int) -> None:
        """Count calls that failed; open when they are too many, or when they were the trial."""
        self._count(calls, calls)
        is_bad = self._calls >= BREAKER_MIN_CALLS and self._failures >= self._calls * BREAKER_FAILED_SHARE
        if self._is_half_open or (is_bad and not self._open_until):
            self.open_count += 1
            self._open_until, self._is_half_open = monotonic() + BREAKER_OPEN_SECONDS, False

    def _count(self, calls: int, failures: int) -> None:
        now = monotonic()
        if now >= self._window_ends:
            self._window_ends, self._calls, self._failures = now + BREAKER_WINDOW_SECONDS, 0, 0
        self._calls += calls
        self._failures += failures


class Shard:
    """One Redis. `decide` is the hot path and takes callbacks; the rest awaits."""

    def __init__(self, connection: RedisConnection) -> None:
        self.connection = connection
        self._queue: Batch = []
        self._in_flight = 0
        self._is_scheduled = False
        self._clock_offset_us: int | None = None
        """How far Redis's clock is ahead of this process's monotonic one, as of the last reply."""
        self._unreadable_state = LimitsUnavailable(f"{connection.name} holds a state that it cannot read")
        self.breaker = CircuitBreaker()
        connection.on_connected = self.breaker.close

    def decide(self, request: LimitRequest, on_decision: OnDecision) -> None:
        """Decide one check; `on_decision` gets the decision or LimitsUnavailable, once and within the deadline."""
        if not self._queue and not self.breaker.may_pass():
            on_decision(LimitsUnavailable(f"{self.connection.name} failed too often and is left alone for a while"))
            return
        self._queue.append((request, on_decision))
        if self._in_flight < GATHER_THRESHOLD and not self._is_scheduled:
            self._is_scheduled = True
            asyncio.get_running_loop().call_soon(self._flush)

    async def run_script(self, script: Script, keys: list[str], arguments: list[str | int]) -> Reply:
        """Run a small script and return its reply. Raises LimitsUnavailable."""
        try:
            return await self._call("EVALSHA", script.sha, len(keys), *keys, *arguments)
        except hiredis.ReplyError as error:
            if not _is_unknown_script(error):
                raise
            return await self._call("EVAL", script.source, len(keys), *keys, *arguments)

    async def _call(self, *command: bytes | str | int) -> Reply:
        """Call with a long timeout: no check waits for these, so a busy server gets its time."""
        return await self.connection.call(*command, timeout_seconds=SCRIPT_TIMEOUT_SECONDS)

    def _flush(self) -> None:
        self._is_scheduled = False
        if self._in_flight >= GATHER_THRESHOLD or not self._queue:
            return
        batch, self._queue = self._queue[:MAX_BATCH], self._queue[MAX_BATCH:]
        self._in_flight += len(batch)
        self._send(batch, b"EVALSHA", DECIDE.sha)

    def _send(self, batch: Batch, *script: bytes, is_again: bool = False) -> None:
        try:
            command = encode_call(script, [request for request, _ in batch], self._deadline_us())
        except Exception as error:
            # What cannot be encoded ends like what is not answered, or this shard would wait for it for ever.
            self._in_flight -= len(batch)
            self._fail(batch, error)
            return
        self.connection.send_encoded(partial(self._handle_reply, batch, is_again), command)

    def _handle_reply(self, batch: Batch, is_again: bool, reply: Reply) -> None:
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
        self._clock_offset_us = now_us - monotonic_ns() // 1000
        if not decisions and not is_again:
            # By its clock nobody waits any more, and yet somebody does: that clock was set forward.
            self._send(batch, b"EVALSHA", DECIDE.sha, is_again=True)
            return
        self._in_flight -= len(batch)
        if not decisions:
            self._fail(batch, LimitsUnavailable(f"{self.connection.name} came to it too late"))
            return
        self.breaker.record_success(len(batch))
        self._flush()  # first, so that the server works while these are answered
        for (_, on_decision), decision in zip(batch, decisions, strict=True):
            on_decision(decision if decision.status is not Status.FAILED else self._unreadable_state)

    def _deadline_us(self) -> int:
        """Return when the callers' deadline is over, by Redis's clock; 0 if that is not known."""
        if self._clock_offset_us is None:
            return 0
        return monotonic_ns() // 1000 + self._clock_offset_us + int(self.connection.deadline_seconds * 1_000_000)

    def _fail(self, batch: Batch, error: Exception) -> None:
        self.connection.leave_if_no_master(error)
        gathered, self._queue = self._queue, []
        self.breaker.record_failure(len(batch) + len(gathered))
        reason = error if isinstance(error, LimitsUnavailable) else LimitsUnavailable(str(error))
        for _, on_decision in [*batch, *gathered]:
            on_decision(reason)


class Limiter:
    """All shards, one instance a process. `urls`: one a shard, as in portal.core.redis.address."""

    def __init__(self, urls: Sequence[str], deadline_ms: int) -> None:
        shards = [Shard(RedisConnection(url, deadline_ms / 1000)) for url in urls]
        self._ring = RendezvousRing([(shard.connection.name, shard) for shard in shards])

    async def open(self) -> None:
        """Connect to every shard; one that is away is tried again in the background."""
        await asyncio.gather(*[shard.connection.open() for shard in self._ring])

    async def close(self) -> None:
        """Disconnect; whoever waits is given LimitsUnavailable."""
        await asyncio.gather(*[shard.connection.close() for shard in self._ring])

    def shard_of(self, account_id: str) -> Shard:
        """Return the shard that holds the account."""
        return self._ring.of(account_id)

    def decide(self, request: LimitRequest, on_decision: OnDecision) -> None:
        """Decide one check among those of this loop turn; see Shard.decide."""
        self._ring.of(request.account_id).decide(request, on_decision)

    async def decide_one(self, request: LimitRequest) -> Decision:
        """Decide and wait. Raises LimitsUnavailable."""
        return await wait_for_callback(partial(self.decide, request))

    async def raise_policy_version(self, account_id: str, version: int) -> None:
        """Let no check of the account pass by an older policy from now on. Raises LimitsUnavailable."""
        await self.shard_of(account_id).run_script(RAISE_VERSION, [f"account:{account_id}"], [version])

    async def raise_used(self, account_id: str, period: str, used: int, settled: int) -> None:
        """Raise the period's counter to at least what has been ingested, of which settlements added `settled`.

        Raises LimitsUnavailable.
        """
        shard = self.shard_of(account_id)
        await shard.run_script(RAISE_USED, [f"account:{account_id}"], [period, used, settled])

    async def add_used(self, correction: QuotaCorrection) -> None:
        """Correct the period's counter, where Redis has it; repeated within an hour this changes nothing more.

        Raises LimitsUnavailable.
        """
        shard = self.shard_of(correction.account_id)
        keys = [f"account:{correction.account_id}", f"settled:{correction.request_id}"]
        await shard.run_script(ADD_USED, keys, [correction.period, correction.added, correction.settled])

    def shards(self) -> list[Shard]:
        """Return every shard, in the order of the settings."""
        return [*self._ring]

    async def ping(self) -> list[tuple[str, bool]]:
        """Return (its name, whether it answers) of every shard."""
        shards = self.shards()
        answers = await asyncio.gather(*[_ping(shard) for shard in shards])
        return [(shard.connection.name, answer) for shard, answer in zip(shards, answers, strict=True)]


def _is_unknown_script(reply: Reply) -> bool:
    return isinstance(reply, hiredis.ReplyError) and str(reply).startswith("NOSCRIPT")


async def _ping(shard: Shard) -> bool:
    try:
        await shard.connection.call("PING", timeout_seconds=PING_TIMEOUT_SECONDS)
    except (LimitsUnavailable, hiredis.ReplyError):
        return False
    return True
