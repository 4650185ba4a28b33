"""The shipper: all that was journalled reaches the bus, in order; nothing that is broken does."""

import asyncio
import os
from pathlib import Path

import pytest

from portal.core.database import Database
from portal.core.messaging.bus import USAGE_RECORDED, InProcessBus
from portal.usage import Journal, JournalShipper, ingest_usage
from portal.usage.journal import JournalDamaged
from portal.usage.journal.format import HEADER_SIZE, encode_frames
from portal.usage.journal.segments import list_segments, read_chunk, segment_path
from portal.usage.journal.writer import OpenSegment
from portal.usage.records import encode_record
from tests.usage.sample import Receiver, new_account, record, records
from tests.usage.truth import raw_totals

INCARNATION = "0" * 26


def written(folder: Path, count: int) -> Path:
    """A dead writer's segment with so many records."""
    segment = OpenSegment(folder, INCARNATION, 1)
    segment.append(encode_frames(encode_record(one) for one in records(count)))
    segment.close()
    return segment_path(folder, INCARNATION, 1)


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def only_left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != "courier.lock")


@pytest.fixture
def receiver() -> Receiver:
    return Receiver()


def shipper(folder: Path, receiver: Receiver, batch: int = 1000) -> JournalShipper:
    return JournalShipper(folder, receiver.bus, batch)


async def test_it_ships_in_order_and_in_batches_and_cleans_up(tmp_path: Path, receiver: Receiver) -> None:
    written(tmp_path, 25)
    assert await shipper(tmp_path, receiver, batch=10).run_once() == 25
    assert [len(batch) for batch in receiver.batches] == [10, 10, 5]
    assert receiver.records == records(25)
    assert only_left(tmp_path) == []


def test_a_truncation_at_every_byte_keeps_every_whole_record_before_it(tmp_path: Path) -> None:
    path = written(tmp_path, 100)
    payloads = [encode_record(one) for one in records(100)]
    frame = len(encode_frames(payloads[:1]))
    for cut in reversed(range(path.stat().st_size)):
        os.truncate(path, cut)
        whole = max(0, (cut - HEADER_SIZE) // frame)
        portion = read_chunk(path, 0, 1000)
        assert portion.payloads == payloads[:whole]
        assert (portion.is_final, portion.has_more, portion.damage_at) == (True, False, None)
        assert portion.cut_bytes == (cut - HEADER_SIZE - whole * frame if cut >= HEADER_SIZE else cut)


@pytest.mark.parametrize("missing", [0, 1, 50, 130, 131, 200])
async def test_a_truncated_segment_is_shipped_and_deleted(tmp_path: Path, missing: int) -> None:
    path = written(tmp_path, 10)
    size = path.stat().st_size
    whole = (size - missing - HEADER_SIZE) // len(encode_frames([encode_record(record())]))
    os.truncate(path, size - missing)
    receiver = Receiver()
    assert await shipper(tmp_path, receiver).run_once() == whole
    assert receiver.records == records(whole)
    assert only_left(tmp_path) == []


@pytest.mark.parametrize("tail", [b"\0" * 5000, b"\xff" * 5000, bytes(range(1, 250)), b"\x10\0\0\0"])
async def test_garbage_at_the_end_is_cut_off(tmp_path: Path, receiver: Receiver, tail: bytes) -> None:
    path = written(tmp_path, 10)
    path.write_bytes(path.read_bytes() + tail)
    worker = shipper(tmp_path, receiver)
    assert await worker.run_once() == 10
    assert worker.cut_bytes == len(tail)
    assert only_left(tmp_path) == []


async def test_damage_in_the_middle_stops_loudly_and_keeps_the_file(tmp_path: Path, receiver: Receiver) -> None:
    path = written(tmp_path, 100)
    frame = len(encode_frames([encode_record(record(0))]))
    flip(path, HEADER_SIZE + 50 * frame + 20)
    worker = shipper(tmp_path, receiver)
    with pytest.raises(JournalDamaged) as caught:
        await worker.run_once()
    assert caught.value.offset == HEADER_SIZE + 50 * frame
    assert caught.value.file.name == f"{path.name}.damaged"
    assert receiver.records == records(50)
    assert worker.damaged == 1
    assert only_left(tmp_path) == [f"{path.name}.damaged"]
    assert await worker.run_once() == 0


@pytest.mark.parametrize("at", range(8))
async def test_a_damaged_length_or_checksum_hides_nothing_behind_it(
    tmp_path: Path, receiver: Receiver, at: int
) -> None:
    path = written(tmp_path, 100)
    frame = len(encode_frames([encode_record(record(0))]))
    flip(path, HEADER_SIZE + 97 * frame + at)
    with pytest.raises(JournalDamaged):
        await shipper(tmp_path, receiver).run_once()
    assert receiver.records == records(97)


async def test_a_damaged_header_is_damage(tmp_path: Path, receiver: Receiver) -> None:
    flip(written(tmp_path, 3), 2)
    with pytest.raises(JournalDamaged) as caught:
        await shipper(tmp_path, receiver).run_once()
    assert caught.value.offset == 0
    assert receiver.records == []


async def test_the_unfinished_end_of_a_living_writer_is_waited_for(tmp_path: Path, receiver: Receiver) -> None:
    segment = OpenSegment(tmp_path, INCARNATION, 1)
    frames = encode_frames(encode_record(one) for one in records(3))
    segment.append(frames[:-7])
    worker = shipper(tmp_path, receiver)
    assert await worker.run_once() == 2
    assert await worker.run_once() == 0
    segment.append(frames[-7:])
    assert await worker.run_once() == 1
    assert receiver.records == records(3)
    assert list_segments(tmp_path) == [segment.path]
    segment.close()
    assert await worker.run_once() == 0
    assert (only_left(tmp_path), worker.cut_bytes) == ([], 0)


async def test_damage_under_a_living_writer_is_reported_once_and_set_aside_later(
    tmp_path: Path, receiver: Receiver
) -> None:
    segment = OpenSegment(tmp_path, INCARNATION, 1)
    segment.append(encode_frames(encode_record(one) for one in records(3)))
    flip(segment.path, HEADER_SIZE + 5)
    worker = shipper(tmp_path, receiver)
    with pytest.raises(JournalDamaged):
        await worker.run_once()
    assert await worker.run_once() == 0
    segment.close()
    assert await worker.run_once() == 0
    assert only_left(tmp_path) == [f"{segment.path.name}.damaged"]
    assert worker.damaged == 1


async def test_damage_in_one_segment_holds_up_no_other(tmp_path: Path, receiver: Receiver) -> None:
    flip(written(tmp_path, 5), HEADER_SIZE + 5)
    segment = OpenSegment(tmp_path, INCARNATION, 2)
    segment.append(encode_frames([encode_record(record(9))]))
    with pytest.raises(JournalDamaged):
        await shipper(tmp_path, receiver).run_once()
    assert receiver.records == [record(9)]
    segment.close()


async def test_the_bus_may_be_away(tmp_path: Path) -> None:
    receiver = Receiver(failures=3)
    journal = Journal(tmp_path, segment_bytes=10**6, sync_ms=20)
    journal.open()
    journal.append(records(10))
    worker = shipper(tmp_path, receiver, batch=4)
    stop = asyncio.Event()
    running = asyncio.create_task(worker.run(stop))
    await receiver.wait_for(10)
    assert receiver.records == records(10)
    journal.append([record(77)])
    worker.wake()
    await receiver.wait_for(11)
    stop.set()
    await running
    journal.close()


async def test_a_second_shipper_waits_for_the_first(tmp_path: Path, receiver: Receiver) -> None:
    written(tmp_path, 3)
    first, second = shipper(tmp_path, receiver), shipper(tmp_path, receiver)
    assert await first.run_once() == 3
    written(tmp_path, 3)
    assert await second.run_once() == 0
    first.close()
    assert await second.run_once() == 3
    second.close()


async def test_a_kill_between_publish_and_cursor_repeats_and_ingest_does_not_double(
    tmp_path: Path, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = new_account()
    bus = InProcessBus()
    deliveries = 0

    async def ingest(batch: bytes) -> None:
        nonlocal deliveries
        deliveries += 1
        await ingest_usage(database, batch)

    bus.subscribe(USAGE_RECORDED, ingest)
    journal = Journal(tmp_path, segment_bytes=10**6, sync_ms=20)
    journal.open()
    journal.append(records(30, account_id=account))
    with monkeypatch.context() as killed:
        killed.setattr(JournalShipper, "_advance_cursor", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        worker = JournalShipper(tmp_path, bus, 10)
        with pytest.raises(KeyboardInterrupt):
            await worker.run_once()
        worker.close()
    journal.close()
    assert await JournalShipper(tmp_path, bus, 10).run_once() == 30
    assert deliveries >= 4
    assert await raw_totals(database, account) == (30, 30)
    assert only_left(tmp_path) == []


async def test_a_restart_goes_on_at_the_cursor_and_a_broken_one_means_from_the_start(
    tmp_path: Path, receiver: Receiver
) -> None:
    segment = OpenSegment(tmp_path, INCARNATION, 1)
    segment.append(encode_frames([encode_record(record(0))]))
    first = shipper(tmp_path, receiver)
    assert await first.run_once() == 1
    first.close()
    segment.append(encode_frames([encode_record(record(1))]))
    second = shipper(tmp_path, receiver)
    assert await second.run_once() == 1
    second.close()
    segment.path.with_name(f"{segment.path.name}.cursor").write_text("")
    assert await shipper(tmp_path, receiver).run_once() == 2
    segment.close()
