"""Redis alone: our decide script as the portal sends it, pipelined over one connection, with nothing around it.

The logs are laid before each round, spread over the longest window, so that a round meets them at a stated length.
"""

import random
import socket
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any
from urllib.parse import urlsplit

import hiredis

from bench.contender import Sample, WrongAnswers
from portal.core.clock import to_microseconds, utc_now
from portal.limits import Bucket, LimitRequest, Mode, Quota, Status, Subject, Window
from portal.limits.limiter import DECIDE, Script
from portal.limits.requests import decode_decisions, encode_call

CHECKS_A_CALL = 32
CALLS_AHEAD = 16
CALLS = 400
DATABASE = 3
MANY = 10**12
SORTED_SETS = Script("../../bench/sorted_sets.lua", "token_bucket.lua", "decide.lua")
SECOND_US, MINUTE_US = 1_000_000, 60_000_000


@dataclass(frozen=True, slots=True)
class Shape:
    """`entries` in each log at the start; 0 is a token bucket, which has none."""

    entries: int
    subjects: int
    is_sorted_set: bool = False


class RedisAlone:
    unit = "checks/s"

    def __init__(self, name: str, about: str, url: str, shape: Shape) -> None:
        self.name = name
        self.about = about
        self._url = url
        self._shape = shape
        self._script = SORTED_SETS if shape.is_sorted_set else DECIDE
        self._random = random.Random(3)  # noqa: S311 the same load each time, not a secret

    async def measure(self, seconds: float) -> Sample:
        with _Wire(self._url) as wire:
            wire.ask([("SELECT", DATABASE), ("FLUSHDB",), ("SCRIPT", "LOAD", self._script.source)])
            for commands in self._laid():
                wire.ask(commands)
            calls = [self._call() for _ in range(CALLS)]
            count, elapsed, last = wire.flood(calls, seconds)
            self._verify(last)
            memory = wire.ask([("MEMORY", "USAGE", f"limit:k{n}", "SAMPLES", 0) for n in range(200)])
            wire.ask([("FLUSHDB",)])
        sizes = [size for size in memory if size]
        return Sample(count / elapsed, {"checks": count, "bytes_a_log": sum(sizes) / max(len(sizes), 1)})

    def _subject(self, number: int) -> Subject:
        if self._shape.entries == 0:
            return Subject(f"k{number}", bucket=Bucket(1_000_000, 1_000_000, SECOND_US))
        return Subject(f"k{number}", (Window(MANY, SECOND_US), Window(MANY, MINUTE_US)))

    def _call(self) -> bytes:
        now = to_microseconds(utc_now())
        quota = Quota(MANY, (("2000-01", now - 10**12, now + 10**12), ("2000-02", now + 10**12, now + 2 * 10**12)))
        numbers = self._random.choices(range(self._shape.subjects), k=CHECKS_A_CALL)
        requests = [LimitRequest(f"a{n // 10}", 1, Mode.CONSUME, 1, (self._subject(n),), quota) for n in numbers]
        return encode_call((b"EVALSHA", self._script.sha), requests, 0)

    def _laid(self) -> Iterator[Sequence[tuple[Any, ...]]]:
        """Commands that make records and logs, in portions."""
        since = str(to_microseconds(utc_now()) - 10**12 - 1)
        accounts = range(self._shape.subjects // 10 + 1)
        yield [("HSET", f"account:a{number}", "version", "1", "since", since) for number in accounts]
        if self._shape.entries:
            for begin in range(0, self._shape.subjects, 100):
                yield [self._log(number) for number in range(begin, min(begin + 100, self._shape.subjects))]

    def _log(self, number: int) -> tuple[Any, ...]:
        """Entries of one unit each, over the last 50 seconds."""
        count, now = self._shape.entries, to_microseconds(utc_now())
        base, step = now - 50 * SECOND_US, 50 * SECOND_US // count
        if self._shape.is_sorted_set:
            pairs = [text for n in range(count) for text in (base + n * step, f"{n + 1:016d}:1")]
            return ("ZADD", f"limit:k{number}", *pairs)
        entries = [(n * step).to_bytes(6, "big") + (n + 1).to_bytes(6, "big") for n in range(count)]
        return (
            "SET",
            f"limit:k{number}",
            struct.pack(">d", base) + bytes(6) + (2 * MINUTE_US).to_bytes(6, "big") + b"".join(entries),
            "PX",
            120_000,
        )

    def _verify(self, reply: bytes) -> None:
        _, decisions = decode_decisions(reply)
        used = [state.used for decision in decisions for state in decision.states]
        is_long = self._shape.entries == 0 or max(used) >= self._shape.entries
        if {decision.status for decision in decisions} != {Status.ADMITTED} or not is_long:
            raise WrongAnswers(f"{self.name}: {decisions[0]}")


class _Wire:
    """A blocking connection."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._socket = socket.create_connection((parts.hostname, parts.port))
        self._reader = hiredis.Reader()
        if parts.password:
            self.ask([("AUTH", parts.password)])

    def __enter__(self) -> "_Wire":
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def ask(self, commands: Sequence[tuple[Any, ...]]) -> list[Any]:
        """Replies in order. Raises hiredis.ReplyError."""
        self._socket.sendall(b"".join([_packed(command) for command in commands]))
        return [self._reply() for _ in commands]

    def flood(self, calls: Sequence[bytes], seconds: float) -> tuple[int, float, bytes]:
        """Keep some calls ahead: checks, seconds, the last reply."""
        begin = perf_counter()
        for call in calls[:CALLS_AHEAD]:
            self._socket.sendall(call)
        answered, sent, reply = 0, CALLS_AHEAD, b""
        while answered < sent:
            reply = self._reply()
            answered += 1
            if perf_counter() - begin < seconds:
                self._socket.sendall(calls[sent % len(calls)])
                sent += 1
        return answered * CHECKS_A_CALL, perf_counter() - begin, reply

    def _reply(self) -> Any:
        while (reply := self._reader.gets()) is False:
            self._reader.feed(self._socket.recv(65_536))
        if isinstance(reply, hiredis.ReplyError):
            raise reply
        return reply


def _packed(command: tuple[Any, ...]) -> bytes:
    packed: bytes = hiredis.pack_command(command)
    return packed


def contenders(url: str) -> list[RedisAlone]:
    return [
        RedisAlone("redis.packed.100", "packed log of 100 entries, two windows + quota", url, Shape(100, 10_000)),
        RedisAlone("redis.sorted.100", "the same as a sorted set", url, Shape(100, 10_000, is_sorted_set=True)),
        RedisAlone("redis.packed.1000", "packed log of 1,000 entries", url, Shape(1_000, 2_000)),
        RedisAlone("redis.sorted.1000", "the same as a sorted set", url, Shape(1_000, 2_000, is_sorted_set=True)),
        RedisAlone("redis.bucket", "one token bucket + quota", url, Shape(0, 10_000)),
    ]
