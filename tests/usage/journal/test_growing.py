"""A segment that grows while it is read: whatever the reader saw of the last frame, that is never called damage."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from portal.usage.journal.format import FRAME_SIZE, HEADER_SIZE, encode_frames
from portal.usage.journal.segments import read_chunk
from portal.usage.journal.writer import OpenSegment
from portal.usage.records import encode_record
from tests.usage.sample import records

COUNT = 6
FRAMES = [encode_frames([encode_record(one)]) for one in records(COUNT)]
READ = os.pread
Grow = Callable[[int], None]


@pytest.fixture
def growing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[list[bytes]], Path]:
    """Return how to make a segment that grows by the next of these parts before each of the reader's reads."""

    def start(parts: list[bytes]) -> Path:
        segment = OpenSegment(tmp_path, "0" * 26, 1)
        left = iter(parts)

        def read(file: int, size: int, offset: int) -> bytes:
            if part := next(left, b""):
                os.write(segment._file, part)
            return READ(file, size, offset)

        monkeypatch.setattr(os, "pread", read)
        return segment.path

    return start


def read_all(path: Path) -> list[bytes]:
    payloads: list[bytes] = []
    offset = 0
    for _ in range(10 * COUNT):
        chunk = read_chunk(path, offset, max_records=4)
        assert chunk.damage_at is None
        payloads += chunk.payloads
        offset = chunk.end
    return payloads


def cuts() -> list[list[int]]:
    """Where the file ends at each read: at any byte of a frame first, then at any byte of a later one."""
    first, second = len(FRAMES[0]), len(FRAMES[1])
    near = [1, FRAME_SIZE - 1, FRAME_SIZE, FRAME_SIZE + 1, first // 2, first - 1]
    return [[cut, more] for cut in near for more in (first - cut, first, first + second // 2, 3 * first)]


@pytest.mark.parametrize("sizes", cuts(), ids=str)
@pytest.mark.parametrize("reads_before", [1, 2, 3])
def test_a_frame_that_is_being_written_is_no_damage(
    growing: Callable[[list[bytes]], Path], sizes: list[int], reads_before: int
) -> None:
    """The header is read first; then the frame may be torn at the first, second or third read of it."""
    data, parts = b"".join(FRAMES), [b""] * reads_before
    for size in sizes:
        parts.append(data[:size])
        data = data[size:]
    assert read_all(growing([*parts, data])) == [encode_record(one) for one in records(COUNT)]


@pytest.mark.parametrize("step", [1, 2, 7, 50, 333])
def test_a_segment_that_grows_at_every_read_is_read_whole(
    growing: Callable[[list[bytes]], Path], step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = b"".join(FRAMES)
    path = growing([data[at : at + step] for at in range(0, len(data), step)])
    payloads: list[bytes] = []
    offset = 0
    while len(payloads) < COUNT:
        chunk = read_chunk(path, offset, max_records=4)
        assert chunk.damage_at is None
        payloads += chunk.payloads
        offset = chunk.end
    assert payloads == [encode_record(one) for one in records(COUNT)]


def test_real_damage_is_still_found_while_the_segment_grows(growing: Callable[[list[bytes]], Path]) -> None:
    broken = bytearray(FRAMES[1])
    broken[-1] ^= 0xFF
    path = growing([b"", FRAMES[0] + bytes(broken), FRAMES[2]])
    chunk = read_chunk(path, 0, max_records=10)
    while chunk.damage_at is None and (chunk.payloads or chunk.end < HEADER_SIZE + len(FRAMES[0])):
        chunk = read_chunk(path, chunk.end, max_records=10)
    assert read_chunk(path, chunk.end, max_records=10).damage_at == HEADER_SIZE + len(FRAMES[0])
