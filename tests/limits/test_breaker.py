"""The breaker opens when most calls fail, tries once after its time, and closes when the shard answers."""

import pytest

from portal.limits import limiter as module
from portal.limits.limiter import CircuitBreaker


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(module, "monotonic", lambda: now[0])
    return now


def test_few_failures_open_nothing(clock: list[float]) -> None:
    breaker = CircuitBreaker()
    breaker.record_failure(19)
    assert breaker.may_pass()


def test_half_of_twenty_open_it(clock: list[float]) -> None:
    breaker = CircuitBreaker()
    breaker.record_success(10)
    breaker.record_failure(10)
    assert not breaker.may_pass()
    assert breaker.open_count == 1


def test_old_failures_are_forgotten(clock: list[float]) -> None:
    breaker = CircuitBreaker()
    breaker.record_failure(19)
    clock[0] += 1.5
    breaker.record_failure(1)
    assert breaker.may_pass()


def test_after_its_time_one_trial_decides(clock: list[float]) -> None:
    breaker = CircuitBreaker()
    breaker.record_failure(20)
    clock[0] += 5.1
    assert breaker.may_pass()
    assert not breaker.may_pass()
    breaker.record_failure(1)
    assert not breaker.may_pass()
    clock[0] += 5.1
    assert breaker.may_pass()
    breaker.record_success(1)
    assert breaker.may_pass()
    assert breaker.may_pass()


def test_a_new_connection_closes_it(clock: list[float]) -> None:
    breaker = CircuitBreaker()
    breaker.record_failure(20)
    breaker.close()
    assert breaker.may_pass()
