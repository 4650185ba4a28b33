"""Several batches under way at once: the cursor moves in order, over what is confirmed, and the present goes first."""

import asyncio
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from portal.core.messaging.bus import USAGE_RECORDED, Handler
from portal.usage import Journal, JournalShipper, UsageRecord, decode_batch, journal_backlog
from portal.usage.journal.segments import SegmentChunk, list_segments, load_cursor, read_chunk
from portal.usage.journal.shipper import BACKLOG_TURN, MAX_BACKLOG_WAITING
from tests.usage.sample import NOON, record, records


class Broker:
    """Confirms when it is told to, in any order; `most` is how many were under way at once."""

    def __init__(self, *, is_confirming: bool = True) -> None:
        self.published: list[list[UsageRecord]] = []
        self.open: list[asyncio.Future[None]] = []
        self.most = 0
        self.depth = 0
        self.is_confirming = is_confirming

    async def publish(self, subject: str, body: bytes) -> None:
        assert subject == USAGE_RECORDED
        self.published.append(decode_batch(body))
        confirmed = asyncio.get_running_loop().create_future()
        self.open.append(confirmed)
        self.most = max(self.most, sum(not one.done() for one in self.open))
        if self.is_confirming:
            await asyncio.sleep(0)
            confirmed.set_result(None)
        await confirmed

    def subscribe(self, subject: str, handler: Handler) -> None:
        raise AssertionError

    async def run(self, stop: asyncio.Event) -> None:
        raise AssertionError

    async def waiting(self, subject: str) -> int:
        return self.depth

    async def has(self, count: int) -> None:
        async with asyncio.timeout(10):
            while len(self.published) < count:  # noqa: ASYNC110 the shipper signals nothing
                await asyncio.sleep(0.001)


def journal_of(folder: Path, *, segment_bytes: int = 10**6) -> Journal:
    journal = Journal(folder, segment_bytes=segment_bytes, sync_ms=20)
    journal.open()
    return journal


async def test_several_are_under_way_and_no_more_than_allowed(tmp_path: Path) -> None:
    journal = journal_of(tmp_path)
    journal.append(records(100))
    broker = Broker(is_confirming=False)
    shipping = asyncio.create_task(JournalShipper(tmp_path, broker, 10, in_flight=4).run_once())
    await broker.has(4)
    assert len(broker.published) == 4
    for number in range(10):
        await broker.has(number + 1)
        broker.open[number].set_result(None)
    assert await shipping == 100
    assert broker.most == 4
    assert [one.request_id for batch in broker.published for one in batch] == [one.request_id for one in records(100)]
    journal.close()


async def test_the_cursor_waits_for_the_oldest(tmp_path: Path) -> None:
    journal = journal_of(tmp_path)
    journal.append(records(30))
    broker = Broker(is_confirming=False)
    shipper = JournalShipper(tmp_path, broker, 10, in_flight=8)
    shipping = asyncio.create_task(shipper.run_once())
    await broker.has(3)
    broker.open[1].set_result(None)
    broker.open[2].set_result(None)
    for _ in range(5):
        await asyncio.sleep(0)
    [segment] = list_segments(tmp_path)
    assert (load_cursor(segment), shipper.shipped) == (0, 0)
    broker.open[0].set_result(None)
    assert await shipping == 30
    assert load_cursor(segment) == segment.stat().st_size
    journal.close()


async def test_what_follows_a_refused_one_comes_again(tmp_path: Path) -> None:
    journal = journal_of(tmp_path)
    journal.append(records(30))
    broker = Broker(is_confirming=False)
    shipper = JournalShipper(tmp_path, broker, 10)
    shipping = asyncio.create_task(shipper.run_once())
    await broker.has(3)
    broker.open[0].set_result(None)
    broker.open[1].set_exception(ConnectionError("the broker is away"))
    broker.open[2].set_result(None)
    with pytest.raises(ConnectionError):
        await shipping
    assert shipper.shipped == 10
    broker.is_confirming = True
    assert await shipper.run_once() == 20
    again = [one.request_id for batch in broker.published[3:] for one in batch]
    assert again == [one.request_id for one in records(30)[10:]]
    journal.close()


async def test_new_records_do_not_wait_for_the_backlog(tmp_path: Path) -> None:
    past = journal_of(tmp_path, segment_bytes=4096)
    for number in range(400):
        past.append([record(number)])
    assert len(list_segments(tmp_path)) > 5
    broker = Broker()
    shipper = JournalShipper(tmp_path, broker, 1)
    before = {one.request_id for one in records(400)}
    seen: list[int] = []

    async def note_turns(subject: str) -> int:
        """Between two turns of the past something happens now."""
        past.append([record(10_000 + len(seen), NOON)])
        seen.append(len(broker.published))
        return 0

    broker.waiting = note_turns  # type: ignore[method-assign]  # a look into its turns
    await shipper.run_once()
    past.close()
    positions = [at for at, batch in enumerate(broker.published) if batch[0].request_id not in before]
    assert len(positions) >= len(seen) - 1
    gaps = [after - earlier for earlier, after in pairwise(positions)]
    assert max(gaps) <= BACKLOG_TURN + 1


async def test_the_backlog_waits_while_ingest_lags_behind(tmp_path: Path) -> None:
    journal = journal_of(tmp_path, segment_bytes=4096)
    for number in range(200):
        journal.append([record(number)])
    newest = list_segments(tmp_path)[-1]
    broker = Broker()
    broker.depth = MAX_BACKLOG_WAITING + 1
    shipper = JournalShipper(tmp_path, broker, 100)
    await shipper.run_once()
    shipped = shipper.shipped
    assert 0 < shipped < 200 or newest.stat().st_size < 100
    assert journal_backlog(tmp_path).bytes > 0
    broker.depth = 0
    await shipper.run_once()
    assert shipper.shipped == 200
    journal.close()


async def test_the_backlog_reports_its_size_and_its_age(tmp_path: Path) -> None:
    assert journal_backlog(tmp_path).oldest is None
    journal = journal_of(tmp_path)
    assert (journal_backlog(tmp_path).bytes, journal_backlog(tmp_path).oldest) == (0, None)
    journal.append(records(10))
    backlog = journal_backlog(tmp_path)
    assert backlog.oldest == NOON
    assert backlog.bytes > 1000
    await JournalShipper(tmp_path, Broker(), 10).run_once()
    assert (journal_backlog(tmp_path).bytes, journal_backlog(tmp_path).oldest) == (0, None)
    journal.close()


async def test_the_age_of_a_backlog_of_thousands_of_segments_is_read_from_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = journal_of(tmp_path, segment_bytes=4096)
    for number in range(200):
        journal.append([record(number, NOON + timedelta(seconds=number))])
    looked: list[Path] = []

    def read(path: Path, offset: int, most: int) -> SegmentChunk:
        looked.append(path)
        return read_chunk(path, offset, most)

    monkeypatch.setattr("portal.usage.journal.backlog.read_chunk", read)
    backlog = journal_backlog(tmp_path)
    assert len(list_segments(tmp_path)) > 3
    assert (backlog.oldest, looked) == (NOON, list_segments(tmp_path)[:1])
    journal.close()
