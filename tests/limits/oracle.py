"""Exact models of the algorithms, and the product's own script with a clock that a test sets.

Nothing in the script is changed but where it takes the time from, and once more with logs that count as long from the
third entry on.
"""

from dataclasses import dataclass, field
from fractions import Fraction
from math import ceil
from typing import cast

from hypothesis import HealthCheck, settings
from redis import Redis

from portal.limits import Bucket, Decision, LimitRequest
from portal.limits.limiter import DECIDE
from portal.limits.requests import decode_decisions, encode_call

START_US = 1_790_000_000_000_000
LIFE = b"'PX', 599999"
SCRIPT = (
    DECIDE.source.replace(b"call('TIME')", b"{ ARGV[3], ARGV[4] }")
    .replace(b"'PX', life_ms", LIFE)
    .replace(b"'PX', empty_ms", LIFE)
)
MAX_SHORT = b"ENTRY * 500"
SCRIPTS = {"short": SCRIPT, "long": SCRIPT.replace(MAX_SHORT, b"ENTRY * 2")}
CASES = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], print_blob=True
)


@dataclass
class WindowModel:
    """What was admitted and when; a window holds the units later than its length ago."""

    amount: int
    length: int
    admitted: list[tuple[int, int]] = field(default_factory=list)

    def state(self, now: int, cost: int) -> tuple[int, int, int]:
        inside = [(at, units) for at, units in self.admitted if at > now - self.length]
        used = sum(units for _, units in inside)
        reset = inside[0][0] + self.length - now if inside else 0
        if cost > self.amount:
            return used, reset, -2
        if used + cost <= self.amount:
            return used, reset, -1
        return used, reset, self._wait(inside, now, used + cost - self.amount)

    def _wait(self, inside: list[tuple[int, int]], now: int, need: int) -> int:
        for at, units in inside:
            need -= units
            if need <= 0:
                return at + self.length - now
        raise AssertionError("the window holds less than it must lose")

    def go_back(self, by: int) -> None:
        self.admitted = [(at - by, units) for at, units in self.admitted]


@dataclass
class BucketModel:
    """Units that have not leaked yet, as a fraction."""

    bucket: Bucket
    level: Fraction = Fraction(0)
    at: int = START_US

    def state(self, now: int, cost: int) -> tuple[int, int, int]:
        rate = Fraction(self.bucket.amount, self.bucket.window_us)
        self.level, self.at = max(Fraction(0), self.level - max(0, now - self.at) * rate), now
        used = ceil(self.level)
        reset = ceil((self.level - (used - 1)) / rate) if used else 0
        if cost > self.bucket.capacity:
            return used, reset, -2
        above = self.level + cost - self.bucket.capacity
        return used, reset, ceil(above / rate) if above > 0 else -1


class Server(Redis):
    """Takes commands in the protocol's own form."""

    script = b""

    def ask(self, command: bytes) -> bytes:
        connection = self.connection_pool.get_connection()
        try:
            connection.send_packed_command([command])  # type: ignore[no-untyped-call]  # redis-py's
            return cast(bytes, connection.read_response())
        finally:
            self.connection_pool.release(connection)

    def decide(self, requests: list[LimitRequest], now: int) -> list[Decision]:
        """All of them in one call, at that instant."""
        call = encode_call((b"EVAL", self.script), requests, 0, now // 1_000_000, now % 1_000_000)
        return decode_decisions(self.ask(call))[1]
