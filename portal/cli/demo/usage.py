"""Ninety days of plausible usage, drawn the same every time from the same history, so that a broken start can go on.

Every hour of a key gets its share of the day by a rhythm (office hours and quiet weekends, or machines that never
sleep), a slow growth and some noise. Now and then a client runs wild for a minute and is limited.
"""

from collections.abc import Iterator
from datetime import timedelta
from itertools import accumulate
from random import Random

from portal.cli.demo.state_file import DemoState, KeyHistory, KeySpan
from portal.core.clock import from_microseconds
from portal.core.ids import encode_128
from portal.plans import first_period
from portal.usage import UsageRecord

DAYS = 90
HOUR_US = 3_600_000_000
MINUTE_US = 60_000_000
TIME_ZONE = "UTC"
RUNS_WILD = 0.008
GROWTH = 0.6
"""By how much the last day is busier than the first."""

OFFICE, STEADY = "office", "steady"
_HOURS = {
    OFFICE: (2, 1, 1, 1, 2, 4, 9, 18, 34, 48, 54, 52, 44, 50, 55, 53, 46, 36, 26, 19, 14, 10, 6, 4),
    STEADY: (18, 17, 16, 16, 17, 18, 20, 23, 27, 30, 31, 31, 30, 31, 32, 32, 31, 29, 28, 26, 24, 22, 20, 19),
}
_WEEKDAYS = {OFFICE: (1.1, 1.25, 1.2, 1.15, 0.95, 0.3, 0.25), STEADY: (1.02, 1.05, 1.05, 1.04, 1.0, 0.93, 0.91)}
_RESOURCES = {
    "GET /v1/search": 46,
    "GET /v1/items/{id}": 27,
    "POST /v1/orders": 12,
    "GET /v1/orders/{id}": 9,
    "POST /v1/embeddings": 6,
}
_NAMES = [*_RESOURCES]
_CUMULATIVE = [*accumulate(_RESOURCES.values())]
_COSTS = {"POST /v1/embeddings": (2, 5, 8)}
_FREE_OF_CHOICE = (1,)


def usage_of(state: DemoState) -> Iterator[UsageRecord]:
    """Every record of every key, key by key in the order of time; the same ids and contents each time."""
    for number, history in enumerate(state.histories):
        rng = Random(f"{state.seed}:{number}")  # noqa: S311 demo data: it must be repeatable, not secret
        ids = _Ids(rng.getrandbits(40))
        end_us = state.made_us - HOUR_US
        first_us = (state.made_us - DAYS * 24 * HOUR_US) // HOUR_US * HOUR_US
        for hour_us in range(first_us, end_us, HOUR_US):
            progress = (hour_us - first_us) / (end_us - first_us)
            yield from _hour(rng, ids, history, (hour_us, min(hour_us + HOUR_US, end_us)), progress)


class _Ids:
    """Request ids as a node would have drawn them at the time: see portal.check.request_ids."""

    def __init__(self, node: int) -> None:
        self._node = node << 32
        self._counter = 0

    def at(self, instant_us: int) -> str:
        self._counter += 1
        return "req_" + encode_128(instant_us << 72 | self._node | self._counter)


def _hour(
    rng: Random, ids: _Ids, history: KeyHistory, stretch: tuple[int, int], progress: float
) -> Iterator[UsageRecord]:
    start_us, end_us = stretch
    at = from_microseconds(start_us)
    hours, days = _HOURS[history.rhythm], _WEEKDAYS[history.rhythm]
    expected = history.daily_calls * hours[at.hour] / sum(hours) * days[at.weekday()]
    expected *= (1 - GROWTH / 2 + GROWTH * progress) * rng.uniform(0.75, 1.25)
    expected *= (end_us - start_us) / HOUR_US
    calls = [(rng.randrange(start_us, end_us), False) for _ in range(int(expected + rng.random()))]
    if rng.random() < RUNS_WILD * min(1.0, expected):
        calls += _wild_minute(rng, stretch, expected)
    period = first_period(at, TIME_ZONE).name
    for instant_us, is_limited in sorted(calls):
        span = _span_at(rng, history.spans, instant_us)
        if span is not None:
            yield _record(rng, history, span, (ids.at(instant_us), period, is_limited))


def _wild_minute(rng: Random, stretch: tuple[int, int], expected: float) -> list[tuple[int, bool]]:
    """Draw the calls of a client that never pauses: some pass, most of the rest is limited."""
    start_us = rng.randrange(*stretch)
    end_us = min(start_us + MINUTE_US, stretch[1])
    return [(rng.randrange(start_us, end_us), rng.random() < 0.6) for _ in range(int(8 + expected))]


def _span_at(rng: Random, spans: list[KeySpan], instant_us: int) -> KeySpan | None:
    """Where two secrets verify at once, callers move over: each call takes one of them."""
    open_spans = [span for span in spans if span.start_us <= instant_us < span.end_us]
    return rng.choice(open_spans) if open_spans else None


def _record(rng: Random, history: KeyHistory, span: KeySpan, drawn: tuple[str, str, bool]) -> UsageRecord:
    request_id, period, is_limited = drawn
    resource = rng.choices(_NAMES, cum_weights=_CUMULATIVE)[0]
    return UsageRecord(
        request_id=request_id,
        account_id=history.account_id,
        key_id=history.key_id,
        secret_id=span.secret_id,
        environment=history.environment,
        resource=resource,
        code="RATE_LIMITED" if is_limited and span.code == "VALID" else span.code,
        cost=rng.choice(_COSTS.get(resource, _FREE_OF_CHOICE)),
        period=period,
    )


def ago_us(made_us: int, ago: timedelta) -> int:
    """Return the instant that lies `ago` before the demo's present."""
    return made_us - ago // timedelta(microseconds=1)
