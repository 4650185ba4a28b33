"""What a slow reader gets: the newest counters, or an end; never more memory."""

import pytest

from portal.graphql.live import BoundedQueue, Interrupted, SlowConsumer


async def test_a_slow_reader_gets_the_newest_counters() -> None:
    queue = BoundedQueue[int](1, is_newest_only=True)
    for number in range(1000):
        queue.put(number)
    assert await queue.take() == 999


async def test_a_reader_too_slow_for_events_gets_what_fitted_and_the_end() -> None:
    queue = BoundedQueue[int](3)
    for number in range(1000):
        queue.put(number)
    assert [await queue.take() for _ in range(3)] == [0, 1, 2]
    with pytest.raises(SlowConsumer):
        await queue.take()


async def test_the_first_reason_counts() -> None:
    queue = BoundedQueue[int](3)
    queue.end(Interrupted("lost"))
    queue.end(SlowConsumer("slow"))
    queue.put(1)
    with pytest.raises(Interrupted):
        await queue.take()
