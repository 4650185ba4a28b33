"""What a slow reader gets: the newest counters, or an end; never more memory."""

import pytest

from portal.graphql.live import Interrupted, Mailbox, TooSlow


async def test_a_slow_reader_gets_the_newest_counters() -> None:
    mailbox = Mailbox[int](1, is_newest_only=True)
    for number in range(1000):
        mailbox.put(number)
    assert await mailbox.take() == 999


async def test_a_reader_too_slow_for_events_gets_what_fitted_and_the_end() -> None:
    mailbox = Mailbox[int](3)
    for number in range(1000):
        mailbox.put(number)
    assert [await mailbox.take() for _ in range(3)] == [0, 1, 2]
    with pytest.raises(TooSlow):
        await mailbox.take()


async def test_the_first_reason_counts() -> None:
    mailbox = Mailbox[int](3)
    mailbox.end(Interrupted("lost"))
    mailbox.end(TooSlow("slow"))
    mailbox.put(1)
    with pytest.raises(Interrupted):
        await mailbox.take()
