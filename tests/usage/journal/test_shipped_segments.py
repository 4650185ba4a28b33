"""Shipped segments are kept for a while, and ship again as often as one likes."""

import os
from pathlib import Path
from time import time

import pytest

from portal.core.messaging.bus import USAGE_RECORDED
from portal.usage import ship_again
from portal.usage.journal import shipped_segments
from portal.usage.journal.format import encode_frames
from portal.usage.journal.segments import list_segments, set_aside
from portal.usage.journal.shipped_segments import FOLDER, keep_segment, purge_kept
from portal.usage.journal.shipper import JournalShipper
from portal.usage.journal.writer import OpenSegment
from portal.usage.records import encode_record
from tests.usage.sample import Receiver, records

HOUR = 3600.0
IDS = sorted(one.request_id for one in records(30))


def write(folder: Path, incarnation: str, first: int) -> OpenSegment:
    segment = OpenSegment(folder, incarnation, 1)
    segment.append(encode_frames(encode_record(one) for one in records(30)[first : first + 10]))
    return segment


async def test_what_was_shipped_is_kept_and_ships_again_beside_what_is_still_written(tmp_path: Path) -> None:
    for number in (0, 1):
        write(tmp_path, str(number) * 26, number * 10).close()
    open_segment = write(tmp_path, "2" * 26, 20)
    receiver = Receiver()
    shipper = JournalShipper(tmp_path, receiver.bus, 4, keep_seconds=HOUR)
    assert await shipper.run_once() == 30
    assert [path.name[0] for path in list_segments(tmp_path)] == ["2"]
    assert [path.name[0] for path in list_segments(tmp_path / FOLDER)] == ["0", "1"]
    for _ in range(2):
        again = Receiver()
        assert (await ship_again(tmp_path, again.bus, 4)).shipped == 30
        assert sorted(one.request_id for one in again.records) == IDS
    assert await shipper.run_once() == 0
    open_segment.close()
    shipper.close()
    copied = Receiver()
    assert await JournalShipper(tmp_path, copied.bus, 4, keep_seconds=HOUR).run_once() == 0
    assert len(list_segments(tmp_path / FOLDER)) == 3


async def test_without_hours_nothing_is_kept(tmp_path: Path) -> None:
    write(tmp_path, "0" * 26, 0).close()
    assert await JournalShipper(tmp_path, Receiver().bus, 4).run_once() == 10
    assert list_segments(tmp_path) == list_segments(tmp_path / FOLDER) == []


async def test_the_kept_end_after_their_hours(tmp_path: Path) -> None:
    for number in (0, 1):
        write(tmp_path, str(number) * 26, number * 10).close()
    await JournalShipper(tmp_path, Receiver().bus, 4, keep_seconds=HOUR).run_once()
    old, new = list_segments(tmp_path / FOLDER)
    os.utime(old, (time() - 2 * HOUR,) * 2)
    assert purge_kept(tmp_path, HOUR) == 1
    assert list_segments(tmp_path / FOLDER) == [new]


async def test_on_a_full_disk_the_kept_go_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "0" * 26, 0).close()
    await JournalShipper(tmp_path, Receiver().bus, 4, keep_seconds=HOUR).run_once()
    monkeypatch.setattr(shipped_segments, "MIN_FREE_SHARE", 1.1)
    assert purge_kept(tmp_path, HOUR) == 1
    assert list_segments(tmp_path / FOLDER) == []


async def test_a_torn_end_and_a_damaged_middle_stop_nothing_else(tmp_path: Path) -> None:
    (tmp_path / FOLDER).mkdir()
    for number in (0, 1, 2):
        write(tmp_path / FOLDER, str(number) * 26, number * 10).close()
    torn, damaged, _ = list_segments(tmp_path / FOLDER)
    torn.write_bytes(torn.read_bytes()[:-3])
    body = bytearray(damaged.read_bytes())
    body[len(body) // 2] ^= 0xFF
    damaged.write_bytes(body)
    receiver = Receiver()
    report = await ship_again(tmp_path, receiver.bus, 100)
    shipped = report.shipped
    assert report.damaged == [damaged]
    assert shipped == len(receiver.records)
    assert {one.request_id for one in receiver.records} >= {one.request_id for one in records(30)[20:]}
    assert 19 < shipped < 29


@pytest.mark.parametrize("batch", [1, 4, 10])
@pytest.mark.parametrize("at_publish", range(8))
async def test_segments_that_move_meanwhile_are_followed(tmp_path: Path, at_publish: int, batch: int) -> None:
    """As a living shipper moves them, and a rotation adds one: at any moment, all of them."""
    for number in (0, 1):
        write(tmp_path, str(number) * 26, number * 10).close()
    receiver, publishes = Receiver(), 0

    async def move(_: bytes) -> None:
        nonlocal publishes
        if publishes == at_publish:
            for path in list_segments(tmp_path):
                keep_segment(path, HOUR)
            write(tmp_path, "2" * 26, 20).close()
        publishes += 1

    receiver.bus.subscribe(USAGE_RECORDED, move)
    report = await ship_again(tmp_path, receiver.bus, batch)
    expected = IDS if publishes > at_publish else IDS[:20]
    assert sorted(one.request_id for one in receiver.records) == expected
    assert (report.shipped, report.damaged) == (len(expected), [])


async def test_what_stood_before_damage_that_was_set_aside_ships_again(tmp_path: Path) -> None:
    write(tmp_path, "0" * 26, 0).close()
    (path,) = list_segments(tmp_path)
    body = bytearray(path.read_bytes())
    body[len(body) // 2] ^= 0xFF
    path.write_bytes(body)
    aside = set_aside(path)
    receiver = Receiver()
    report = await ship_again(tmp_path, receiver.bus, 100)
    assert report.damaged == [aside]
    assert [one.request_id for one in receiver.records] == IDS[: report.shipped]
    assert 3 < report.shipped < 8
