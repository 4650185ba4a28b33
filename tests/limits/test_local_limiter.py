"""A process's own part of each limit: never more than it, and hardly less."""

from fractions import Fraction
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.limits import ADMITS, NEVER, Bucket, Subject, Window
from portal.limits import local_limiter as module
from portal.limits.local_limiter import SLOTS, LocalLimiter

START_US = 10**12
LENGTH_US = 100_000
steps = st.lists(
    st.tuples(st.one_of(st.integers(0, 2_000), st.integers(0, 150_000), st.just(LENGTH_US)), st.integers(0, 6)),
    max_size=80,
)


def take(limiter: LocalLimiter, subject: Subject, cost: int, now_us: int) -> list[int]:
    waits = limiter.waits([(subject, cost)], now_us)
    if all(wait == ADMITS for wait in waits):
        limiter.count([(subject, cost)], now_us)
    return waits


def used(admitted: list[tuple[int, int]], since_us: int) -> int:
    return sum(cost for at_us, cost in admitted if at_us > since_us)


@given(steps, st.integers(1, 40), st.integers(1, 4))
def test_no_window_holds_more_than_the_part(steps: list[tuple[int, int]], amount: int, processes: int) -> None:
    limiter, subject = LocalLimiter(processes), Subject("k", (Window(amount, LENGTH_US),))
    admitted: list[tuple[int, int]] = []
    now, part = START_US, amount // processes
    for elapsed, cost in steps:
        now += elapsed
        (wait,) = take(limiter, subject, cost, now)
        is_late = LENGTH_US + LENGTH_US // SLOTS
        if wait == ADMITS:
            admitted.append((now, cost))
            assert used(admitted, now - LENGTH_US) <= part or cost == 0
        else:
            assert used(admitted, now - is_late) + cost > part
            assert (wait == NEVER) == (cost > part)
            assert wait == NEVER or 0 < wait <= is_late


@given(steps, st.integers(1, 30), st.integers(1, 9), st.integers(1, 4))
def test_a_bucket_is_exactly_the_part(steps: list[tuple[int, int]], capacity: int, amount: int, processes: int) -> None:
    limiter, subject = LocalLimiter(processes), Subject("k", bucket=Bucket(capacity, amount, LENGTH_US))
    level, now, rate = Fraction(0), START_US, Fraction(amount, LENGTH_US * processes)
    for elapsed, cost in steps:
        now, level = now + elapsed, max(Fraction(0), level - elapsed * rate)
        above = level + cost - Fraction(capacity, processes)
        (wait,) = take(limiter, subject, cost, now)
        if above <= 0:
            assert wait == ADMITS
            level += cost
        else:
            assert wait == (NEVER if cost > Fraction(capacity, processes) else ceil(above / rate))


def test_all_limits_admit_or_none_is_taken_from() -> None:
    limiter = LocalLimiter(2)
    subject = Subject("k", (Window(20, LENGTH_US), Window(6, 10 * LENGTH_US)))
    waits = [take(limiter, subject, 1, START_US) for _ in range(4)]
    assert waits == [[ADMITS, ADMITS]] * 3 + [[ADMITS, 10 * LENGTH_US]]
    assert take(limiter, Subject("k", (Window(20, LENGTH_US),)), 7, START_US) == [ADMITS]


def test_a_limit_smaller_than_the_processes_admits_nothing() -> None:
    assert take(LocalLimiter(2), Subject("k", (Window(1, LENGTH_US),)), 1, START_US) == [NEVER]


def test_memory_is_bounded_and_no_counter_in_use_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_COUNTERS", 10)
    limiter = LocalLimiter(1)
    subjects = [Subject(f"k{number}", (Window(1, 2_000_000),)) for number in range(12)]
    waits = [take(limiter, subject, 1, START_US)[0] for subject in subjects]
    assert waits == [ADMITS] * 10 + [NEVER] * 2
    assert take(limiter, subjects[0], 1, START_US + 1_500_000) == [500_000]
    assert take(limiter, subjects[11], 1, START_US + 2_000_000) == [ADMITS]
    assert len(limiter) == 1


def test_many_units_take_few_entries() -> None:
    limiter, subject = LocalLimiter(1), Subject("k", (Window(10**6, LENGTH_US),))
    for number in range(50_000):
        take(limiter, subject, 1, START_US + 2 * number)
    counter = limiter._counters["k", subject.windows[0]]
    assert len(counter._entries) <= SLOTS + 1  # type: ignore[union-attr]  # it is a window's
