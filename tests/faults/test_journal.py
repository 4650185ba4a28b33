"""The journal recovers exactly: cut anywhere, with bits flipped or rubbish behind, nothing true is lost or invented."""

import os
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest

from portal.usage import JournalShipper
from portal.usage.journal import JournalDamaged
from portal.usage.journal.format import HEADER_SIZE, encode_frames
from portal.usage.journal.segments import SegmentChunk, read_chunk, segment_path
from portal.usage.journal.writer import OpenSegment
from portal.usage.records import encode_record
from tests.faults.tools.report import IS_LONG, Report, sized
from tests.usage.sample import Receiver, records

COUNT = 1000
INCARNATION = "0" * 26
ALL = 10**6
PAYLOADS = [encode_record(one) for one in records(COUNT)]
FRAMES = [encode_frames([payload]) for payload in PAYLOADS]
FRAME = len(FRAMES[0])
SIZE = HEADER_SIZE + COUNT * FRAME


@dataclass(frozen=True)
class Dead:
    """A dead writer's segment of 1,000 records."""

    path: Path

    @property
    def data(self) -> bytes:
        return self.path.read_bytes()

    @property
    def is_there(self) -> bool:
        return self.path.exists()

    def write(self, data: bytes) -> None:
        self.path.write_bytes(data)

    def write_cursor(self, data: bytes) -> None:
        self.path.with_name(self.path.name + ".cursor").write_bytes(data)

    def shipper(self, receiver: Receiver, batch: int) -> JournalShipper:
        return JournalShipper(self.path.parent, receiver.bus, batch)


@pytest.fixture
def dead(tmp_path: Path) -> Dead:
    segment = OpenSegment(tmp_path, INCARNATION, 1)
    segment.append(b"".join(FRAMES))
    segment.close()
    return Dead(segment_path(tmp_path, INCARNATION, 1))


@pytest.fixture
def path(dead: Dead) -> Path:
    return dead.path


def read_all(path: Path) -> tuple[list[bytes], SegmentChunk]:
    """As the shipper does: portion after portion."""
    payloads: list[bytes] = []
    offset = 0
    while True:
        portion = read_chunk(path, offset, ALL)
        payloads += portion.payloads
        offset = portion.end
        if not portion.has_more:
            return payloads, portion


def cuts() -> list[int]:
    """Every byte; in the short form every byte of some frames at both ends and in the middle, and a byte of each."""
    if IS_LONG:
        return [*range(SIZE)]
    middle = HEADER_SIZE + 500 * FRAME
    places = {*range(HEADER_SIZE + 2 * FRAME), *range(middle, middle + 2 * FRAME), *range(SIZE - 3 * FRAME, SIZE)}
    return sorted(places | {*range(HEADER_SIZE, SIZE, FRAME + 1)})


def test_cut_at_every_byte_it_keeps_every_whole_record_before(path: Path, report: Report) -> None:
    places = cuts()
    for cut in reversed(places):
        os.truncate(path, cut)
        whole = max(0, (cut - HEADER_SIZE) // FRAME)
        payloads, portion = read_all(path)
        assert payloads == PAYLOADS[:whole]
        assert (portion.is_final, portion.damage_at) == (True, None)
        assert portion.cut_bytes == (cut - HEADER_SIZE - whole * FRAME if cut >= HEADER_SIZE else cut)
    report.tell("journal cut", f"at {len(places):,} of {SIZE:,} bytes of {COUNT:,} records: none lost, none invented")


def test_a_flipped_bit_is_found_wherever_it_is(path: Path, report: Report) -> None:
    draw = Random(3)  # noqa: S311  # no secret
    data = path.read_bytes()
    flips = sized(1500, 60_000)
    for _ in range(flips):
        bit = draw.randrange(SIZE * 8)
        byte = bit // 8
        with path.open("r+b") as file:
            file.seek(byte)
            file.write(bytes([data[byte] ^ 1 << bit % 8]))
        payloads, portion = read_all(path)
        number = (byte - HEADER_SIZE) // FRAME if byte >= HEADER_SIZE else 0
        assert payloads == PAYLOADS[:number]
        if number == COUNT - 1:
            assert (portion.damage_at, portion.cut_bytes) == (None, FRAME)
        else:
            assert portion.damage_at == (HEADER_SIZE + number * FRAME if byte >= HEADER_SIZE else 0)
        with path.open("r+b") as file:
            file.seek(byte)
            file.write(data[byte : byte + 1])
    report.tell("journal bits", f"{flips:,} flipped one by one: each found, nothing behind it accepted")


TAILS = {
    "zeros": bytes(5000),
    "a zero page": bytes(4096 * 3),
    "ones": b"\xff" * 5000,
    "noise": Random(1).randbytes(70_000),  # noqa: S311  # no secret
    "half a frame": FRAMES[0][: FRAME // 2],
    "a length alone": FRAMES[0][:4],
    "a frame of zeros": FRAMES[0][:8] + bytes(FRAME - 8),
}


@pytest.mark.parametrize("name", TAILS)
@pytest.mark.parametrize("whole", [0, 1, COUNT])
async def test_rubbish_at_the_end_is_cut_off(dead: Dead, name: str, whole: int) -> None:
    tail, receiver = TAILS[name], Receiver()
    dead.write(dead.data[: HEADER_SIZE + whole * FRAME] + tail)
    shipper = dead.shipper(receiver, 300)
    assert await shipper.run_once() == whole
    assert shipper.cut_bytes == len(tail)
    assert receiver.records == records(whole)
    assert not dead.is_there


@pytest.mark.parametrize("name", TAILS)
async def test_rubbish_in_the_middle_stops_loudly(dead: Dead, name: str) -> None:
    data, at, receiver = dead.data, HEADER_SIZE + 600 * FRAME, Receiver()
    dead.write(data[:at] + TAILS[name] + data[at:])
    with pytest.raises(JournalDamaged) as caught:
        await dead.shipper(receiver, ALL).run_once()
    assert caught.value.offset == at
    assert receiver.records == records(600)
    assert Dead(caught.value.file).data.endswith(data[at:])


async def test_a_hole_of_records_is_reported(dead: Dead) -> None:
    """What a file system can leave that lost a block: zeros where records were."""
    data, begin, receiver = dead.data, HEADER_SIZE + 300 * FRAME, Receiver()
    dead.write(data[:begin] + bytes(4096) + data[begin + 4096 :])
    with pytest.raises(JournalDamaged):
        await dead.shipper(receiver, ALL).run_once()
    assert receiver.records == records(300)


async def test_a_bus_that_fails_is_asked_again_and_no_record_is_left_out(dead: Dead) -> None:
    receiver = Receiver(failures=5)
    shipper = dead.shipper(receiver, 70)
    while receiver.failures:
        with pytest.raises(ConnectionError):
            await shipper.run_once()
    await shipper.run_once()
    assert {one.request_id for one in receiver.records} == {one.request_id for one in records(COUNT)}
    assert not dead.is_there


@pytest.mark.parametrize("data", [b"", b"nonsense", b"-1", b"\xff\0", str(HEADER_SIZE).encode(), b"0"])
async def test_a_cursor_that_nobody_can_read_leaves_nothing_out(dead: Dead, data: bytes) -> None:
    dead.write_cursor(data)
    receiver = Receiver()
    assert await dead.shipper(receiver, ALL).run_once() == COUNT
    assert receiver.records == records(COUNT)
