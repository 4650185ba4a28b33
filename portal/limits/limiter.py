"""The limiter: finds an account's shard and asks it; all checks of an event-loop turn travel in one script call.

The first check of a turn schedules a flush. Behind a full load in flight, checks gather and leave when a batch is
answered: no timer, and no added delay at low load. What has not left stays in line until its deadline, whatever becomes
of the batches before it: it certainly did not run. A batch that the script came to too late did not either, and is sent
again within its deadline. A batch without a reply may have run, and is never sent again.

No check decides whether a shard is down: an overdue batch has the server asked over another connection. Only when that
fails too, and nothing is answered in time meanwhile, or when a lost link cannot be replaced, the circuit breaker opens,
and nobody waits for what will not come. It closes when a PING or a new link is answered in time.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from hashlib import sha1
from pathlib import Path
from time import monotonic_ns
from typing import Any

import hiredis
import msgspec

from portal.core.concurrency.waiting import wait_for_callback
from portal.core.logs import get_log
from portal.core.redis.ring import RendezvousRing
from portal.limits.redis_link import CallOverdue, LimitsUnavailable, RedisConnection, Reply
from portal.limits.requests import Decision, LimitRequest, QuotaCorrection, Status, decode_decisions, encode_call

MAX_BATCH = 128
GATHER_THRESHOLD = 16
"""Behind so many checks in flight others gather; behind fewer they are sent at once."""
SCRIPT_TIMEOUT_SECONDS = 1.0
PING_TIMEOUT_SECONDS = 1.0
BREAKER_PROBE_SECONDS = 0.5
"""While a breaker is open the shard is asked so often whether it answers again."""
_FOLDER = Path(__file__).parent

OnDecision = Callable[[Decision | LimitsUnavailable], None]
Waiting = tuple[LimitRequest, OnDecision, float]
"""A check in line, and since when: the loop clock's last tick."""


class Script:
    """Lua files, one after the other, and the name under which a server knows them; of this folder, or by path."""

    def __init__(self, *files: str | Path) -> None:
        self.source = b"".join((_FOLDER / file).read_bytes() for file in files)
        self.sha = sha1(self.source, usedforsecurity=False).hexdigest().encode()


DECIDE = Script("sliding_window.lua", "token_bucket.lua", "decide.lua")
ADD_USED = Script("add_used.lua")
RAISE_USED = Script("raise_used.lua")
RAISE_VERSION = Script("raise_version.lua")


class CircuitBreaker:
    """Open: nobody is kept waiting for this shard."""

    def __init__(self) -> None:
        self.is_open = False
        self.open_count = 0
        """How often it has opened since the start."""
        self.reason = ""

    def open(self, reason: str) -> None:
        """Let nothing pass. Idempotent."""
        if not self.is_open:
            self.is_open, self.reason = True, reason
            self.open_count += 1

    def close(self) -> None:
        """Let everything pass. Idempotent."""
        self.is_open = False


class _Batch:
    """Checks of one script call; `expires_at` by the loop's clock, `sent_us` by the monotonic one."""

    __slots__ = ("expires_at", "sent_us", "waiting")

    def __init__(self, waiting: list[Waiting], expires_at: float) -> None:
        self.waiting = waiting
        self.expires_at = expires_at
        self.sent_us = 0


class Shard:
    """One Redis. `decide` is the hot path and takes callbacks; the rest awaits."""

    def __init__(self, connection: RedisConnection) -> None:
        self.connection = connection
        self.breaker = CircuitBreaker()
        self._clock = connection.clock
        self._deadline_seconds = connection.deadline_seconds
        self._queue: list[Waiting] = []
        self._in_flight = 0
        self._is_scheduled = False
        self._script = (b"EVALSHA", DECIDE.sha)
        self._answered_at = 0.0
        """When a batch was last answered in time, by the loop's clock."""
        self._clock_offset_us: int | None = None
        """How far Redis's clock is ahead of this process's monotonic one."""
        self._unreadable_state = LimitsUnavailable(f"{connection.name} holds a state that it cannot read")
        self._examination: asyncio.Task[None] | None = None
        self._clock.watch(self._expire_waiting)
        connection.on_connected = self._on_connected
        connection.on_unreachable = partial(self.breaker.open, f"not connected to {connection.name}")

    async def close(self) -> None:
        """End the connection; whoever waits is given LimitsUnavailable."""
        if self._examination is not None:
            self._examination.cancel()
            await asyncio.gather(self._examination, return_exceptions=True)
        await self.connection.close()
        self._refuse(self._queue, LimitsUnavailable(f"the connection to {self.connection.name} was closed"))
        self._queue = []

    def decide(self, request: LimitRequest, on_decision: OnDecision) -> None:
        """Decide one check; `on_decision` gets the decision or LimitsUnavailable, once and within the deadline."""
        if self.breaker.is_open:
            on_decision(LimitsUnavailable(self.breaker.reason))
            return
        self._queue.append((request, on_decision, self._clock.ticked))
        if self._in_flight < GATHER_THRESHOLD and not self._is_scheduled:
            self._schedule_flush()

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

    def _schedule_flush(self) -> None:
        self._is_scheduled = True
        asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        self._is_scheduled = False
        if self._in_flight >= GATHER_THRESHOLD or not self._queue:
            return
        now = self._clock.now()
        if self.breaker.is_open or not self.connection.is_connected:
            return  # in line until the deadline, which passes by the clock that was just read
        waiting, self._queue = self._queue[:MAX_BATCH], self._queue[MAX_BATCH:]
        self._send(_Batch(waiting, now + self._deadline_seconds), self._deadline_seconds)

    def _send(self, batch: _Batch, seconds: float) -> None:
        """Send a batch that has not run, and has `seconds` left."""
        self._in_flight += len(batch.waiting)
        batch.sent_us = monotonic_ns() // 1000
        # By Redis's clock: nobody waits for an answer that is given later. 0: that clock is not known yet.
        offset_us = self._clock_offset_us
        latest_us = 0 if offset_us is None else batch.sent_us + offset_us + int(seconds * 1_000_000)
        try:
            command = encode_call(self._script, [request for request, _, _ in batch.waiting], latest_us)
        except Exception as error:
            # What cannot be encoded ends like what is not answered, or this shard would wait for it for ever.
            self._handle_reply(batch, error)
            return
        self.connection.send_encoded(partial(self._handle_reply, batch), command, seconds)

    def _handle_reply(self, batch: _Batch, reply: Reply) -> None:
        self._in_flight -= len(batch.waiting)
        if _is_unknown_script(reply):
            self._script = (b"EVAL", DECIDE.source)
            self._send_again(batch)
            return
        if isinstance(reply, Exception):
            self._fail(batch, reply)
            return
        try:
            now_us, decisions = decode_decisions(reply)
        except Exception as error:
            self._fail(batch, error)
            return
        self._note_clock(batch, now_us)
        if not decisions:
            self._send_again(batch)
            return
        self._script = (b"EVALSHA", DECIDE.sha)
        self._answered_at = self._clock.now()
        self._flush()  # first, so that the server works while these are answered
        for (_, on_decision, _), decision in zip(batch.waiting, decisions, strict=True):
            on_decision(decision if decision.status is not Status.FAILED else self._unreadable_state)

    def _note_clock(self, batch: _Batch, now_us: int) -> None:
        """Learn Redis's clock: it was read after the batch was sent and before now, however long that took us."""
        lowest = now_us - monotonic_ns() // 1000
        offset = self._clock_offset_us
        if offset is None or not lowest <= offset <= now_us - batch.sent_us:
            self._clock_offset_us = lowest

    def _send_again(self, batch: _Batch) -> None:
        """Send what certainly did not run once more, in what is left of its deadline."""
        seconds = batch.expires_at - self._clock.now()
        if seconds <= 0:
            self._fail(batch, CallOverdue(f"{self.connection.name} came to it too late"))
        elif self.connection.is_connected:
            self._send(batch, seconds)
        else:
            self._queue = [*batch.waiting, *self._queue]

    def _fail(self, batch: _Batch, error: Exception) -> None:
        self.connection.leave_if_no_master(error)
        if isinstance(error, CallOverdue) and (self._examination is None or self._examination.done()):
            self._examination = asyncio.get_running_loop().create_task(self._examine())
        if self._queue:
            self._schedule_flush()
        self._refuse(batch.waiting, error if isinstance(error, LimitsUnavailable) else LimitsUnavailable(str(error)))

    def _refuse(self, waiting: Sequence[Waiting], reason: LimitsUnavailable) -> None:
        for _, on_decision, _ in waiting:
            on_decision(reason)

    def _expire_waiting(self, now: float) -> bool:
        """Refuse what has been in line for a deadline in which nothing was answered: it has not left."""
        latest = now - self._deadline_seconds
        if self._queue and self._answered_at <= latest and self._queue[0][2] <= latest:
            count = next((at for at, (_, _, since) in enumerate(self._queue) if since > latest), len(self._queue))
            overdue, self._queue = self._queue[:count], self._queue[count:]
            late = f"{self.connection.name} did not answer in time"
            reason = LimitsUnavailable(self.breaker.reason if self.breaker.is_open else late)
            asyncio.get_running_loop().call_soon(self._refuse, overdue, reason)
        return bool(self._queue)

    def _on_connected(self) -> None:
        self.breaker.close()
        self._schedule_flush()

    async def _examine(self) -> None:
        """Open the breaker if the server answers neither over another connection nor a PING, until it answers again."""
        began = self._clock.now()
        if await self.connection.probe() or self._answered_at > began or self.breaker.is_open:
            return
        with suppress(LimitsUnavailable):
            # It may refuse new connections, and nobody may have asked anything meanwhile.
            await self.connection.call("PING")
            return
        name = self.connection.name
        self.breaker.open(f"{name} does not answer and is left alone for a while")
        get_log(__name__).warning("redis_left_alone", server=name)
        while self.breaker.is_open:
            await asyncio.sleep(BREAKER_PROBE_SECONDS)
            with suppress(LimitsUnavailable):
                await self.connection.call("PING")
                self._on_connected()


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
        await asyncio.gather(*[shard.close() for shard in self._ring])

    def shard_of(self, account_id: str) -> Shard:
        """Return the shard that holds the account."""
        return self._ring.of(account_id)

    def decide(self, request: LimitRequest, on_decision: OnDecision) -> None:
        """Decide one check among those of this loop turn; see Shard.decide."""
        self._ring.of(request.account_id).decide(request, on_decision)

    async def decide_one(self, request: LimitRequest) -> Decision:
        """Decide and wait. Raises LimitsUnavailable."""
        return await wait_for_callback(partial(self.decide, request))

    async def raise_policy_version(
        self, account_id: str, version: int, change: str = "", tombstones: Mapping[str, Any] | None = None
    ) -> int:
        """Let no check of the account pass by an older policy from now on; remember the tombstones. Idempotent.

        Returns 0, or the version that Redis has where it is later: changes may have overtaken one another. Returns it
        negative where another change had this very version, so that PostgreSQL was restored. Raises LimitsUnavailable.
        """
        states = [text for id_, state in (tombstones or {}).items() for text in (id_, _to_json(state))]
        arguments: list[str | int] = [version, change, *states]
        return int(await self.shard_of(account_id).run_script(RAISE_VERSION, [f"account:{account_id}"], arguments))

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


def _to_json(state: Any) -> str:
    return msgspec.json.encode(state).decode()


async def _ping(shard: Shard) -> bool:
    try:
        await shard.connection.call("PING", timeout_seconds=PING_TIMEOUT_SECONDS)
    except (LimitsUnavailable, hiredis.ReplyError):
        return False
    return True
