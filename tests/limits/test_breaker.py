"""The breaker opens when most calls fail, tries once after its time, and closes when the shard answers."""

import pytest

from portal.limits import breaker as module
from portal.limits.breaker import CircuitBreaker


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(module, "monotonic", lambda: now[0])
    return now


def test_few_failures_open_nothing(clock: list[float]) -> None:
    breaker = CircuitBreaker()
    breaker.failed(19)
    assert breaker.may_pass()


def test_half_of_twenty_open_it(clock: list[float]) -> None:
    breaker = CircuitBreaker()
    breaker.succeeded(10)
    breaker.failed(10)
    assert not breaker.may_pass()
    assert breaker.opened == 1


def test_old_failures_are_forgotten(clock: list[float]) -> None:
    breaker = CircuitBreaker()
    breaker.failed(19)
    clock[0] += 1.5
    breaker.failed(1)
    assert breaker.may_pass()


def test_after_its_time_one_trial_decides(clock: list[float]) -> None:
    breaker = CircuitBreaker()
    breaker.failed(20)
    clock[0] += 5.1
    assert breaker.may_pass()
    assert not breaker.may_pass()
    breaker.failed(1)
    assert not breaker.may_pass()
    clock[0] += 5.1
    assert breaker.may_pass()
    breaker.succeeded(1)
    assert breaker.may_pass()
    assert breaker.may_pass()


def test_a_new_connection_closes_it(clock: list[float]) -> None:
    breaker = CircuitBreaker()
    breaker.failed(20)
    breaker.close()
    assert breaker.may_pass()
