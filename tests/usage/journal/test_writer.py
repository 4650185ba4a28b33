"""The writer: on return it is written; what could not be written is never there in part."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from portal.usage import Journal, JournalUnavailable
from portal.usage.journal.segments import is_open, list_segments, read_chunk
from portal.usage.journal.writer import OpenSegment
from portal.usage.records import decode_batch, join_batch
from tests.usage.sample import record, records

WRITER = """
import sys
from pathlib import Path
from portal.usage import Journal
from tests.usage.sample import record

journal = Journal(Path(sys.argv[1]), segment_bytes=20_000, sync_ms=50)
journal.open()
for number in range(10**9):
    journal.append([record(number)])
    sys.stderr.write(f"{number}\\n")  # alone there: what is logged goes to stdout
"""
FULL_DISK = """
import resource, sys
from pathlib import Path
from portal.usage import Journal, JournalUnavailable
from tests.usage.sample import record

resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, 2_000))
journal = Journal(Path(sys.argv[1]), segment_bytes=10**6, sync_ms=50)
journal.open()
for number in range(40):
    journal.append([record(number)])
try:
    journal.append([record(100 + number) for number in range(30)])
except JournalUnavailable as error:
    print("refused", journal.is_writable)
journal.close()
"""


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    opened = Journal(tmp_path, segment_bytes=100_000, sync_ms=20)
    opened.open()
    yield opened
    opened.close()


def stored(folder: Path) -> list[int]:
    """The numbers of the records in all segments, in order."""
    payloads = [p for path in list_segments(folder) for p in read_chunk(path, 0, 10**6).payloads]
    return [int(one.resource) if one.resource.isdecimal() else one.cost for one in decode_batch(join_batch(payloads))]


def wait_until_writable(journal: Journal) -> None:
    deadline = time.monotonic() + 5
    while not journal.is_writable:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_segment_is_sealed_at_an_age_too_and_an_empty_one_stays(
    journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    [empty] = list_segments(tmp_path)
    monkeypatch.setattr("portal.usage.journal.writer.SEGMENT_SECONDS", 0)
    for number in (1, 2):
        journal.append([record(number, cost=number)])
        deadline = time.monotonic() + 5
        while sum(map(is_open, list_segments(tmp_path))) != 1 or len(list_segments(tmp_path)) != number + 1:
            assert time.monotonic() < deadline
            time.sleep(0.01)
    time.sleep(0.1)
    assert len(list_segments(tmp_path)) == 3
    assert not is_open(empty)
    assert stored(tmp_path) == [1, 2]


def test_it_is_in_the_file_on_return(journal: Journal, tmp_path: Path) -> None:
    journal.append([record(1, cost=1), record(2, cost=2)])
    journal.append([record(3, cost=3)])
    assert stored(tmp_path) == [1, 2, 3]
    assert journal.is_writable


def test_an_append_wakes_the_shipper(tmp_path: Path) -> None:
    woken: list[bool] = []
    journal = Journal(tmp_path, segment_bytes=10**6, sync_ms=0, on_append=lambda: woken.append(True))
    journal.open()
    journal.append(records(2))
    journal.close()
    assert woken == [True]


def test_a_full_segment_is_sealed_and_the_next_begun(tmp_path: Path) -> None:
    journal = Journal(tmp_path, segment_bytes=1000, sync_ms=20)
    journal.open()
    for number in range(50):
        journal.append([record(number, cost=number)])
    journal.close()
    journal.close()
    assert len(list_segments(tmp_path)) >= 5
    assert stored(tmp_path) == [*range(50)]
    assert all(read_chunk(path, 0, 10**6).is_final for path in list_segments(tmp_path))


def test_a_segment_is_held_by_its_living_writer(journal: Journal, tmp_path: Path) -> None:
    journal.append(records(1))
    [path] = list_segments(tmp_path)
    assert not read_chunk(path, 0, 100).is_final
    journal.close()
    assert read_chunk(path, 0, 100).is_final


def test_nothing_written_leaves_nothing(tmp_path: Path) -> None:
    journal = Journal(tmp_path, segment_bytes=1000, sync_ms=20)
    journal.open()
    journal.close()
    assert [*tmp_path.iterdir()] == []


def test_a_folder_that_cannot_be_made_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(JournalUnavailable):
        Journal(tmp_path / "file" / "journal", segment_bytes=1000, sync_ms=20).open()


def test_a_failed_write_goes_whole_into_a_new_segment(
    journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal.append([record(cost=1)])
    write, calls = os.write, []

    def half(file: int, data: bytes) -> int:
        calls.append(data)
        return write(file, data[: len(data) // 2] if len(calls) == 1 else data)

    monkeypatch.setattr(os, "write", half)
    journal.append([record(cost=2), record(cost=3)])
    monkeypatch.undo()
    assert stored(tmp_path) == [1, 2, 3]
    assert len(list_segments(tmp_path)) == 2


def test_without_room_it_refuses_and_recovers_by_itself(
    journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal.append([record(cost=1)])

    def full(file: int, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    for _ in range(3):
        with pytest.raises(JournalUnavailable, match="No space"):
            journal.append([record(cost=2)])
    assert not journal.is_writable
    monkeypatch.undo()
    wait_until_writable(journal)
    journal.append([record(cost=3)])
    assert stored(tmp_path) == [1, 3]


@pytest.mark.parametrize("sync_ms", [0, 20])
def test_after_a_failed_sync_the_records_are_written_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sync_ms: int
) -> None:
    synced: list[OpenSegment] = []
    sync = OpenSegment.sync

    def fail_first(segment: OpenSegment) -> None:
        synced.append(segment)
        if segment is synced[0]:
            raise OSError(5, "Input/output error")
        sync(segment)

    monkeypatch.setattr(OpenSegment, "sync", fail_first)
    journal = Journal(tmp_path, segment_bytes=10**6, sync_ms=sync_ms)
    journal.open()
    journal.append([record(cost=1), record(cost=2)])
    deadline = time.monotonic() + 5
    while len(list_segments(tmp_path)) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    wait_until_writable(journal)
    journal.append([record(cost=3)])
    journal.close()
    assert synced.count(synced[0]) == 1
    newest = [decode_batch(join_batch(read_chunk(path, 0, 99).payloads)) for path in list_segments(tmp_path)[1:]]
    assert [one.cost for rows in newest for one in rows] == [1, 2, 3]


def test_a_real_limit_of_the_file_system_leaves_no_half_record(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path)], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.splitlines()[-1] == "refused False"
    ids = [
        one.request_id
        for path in list_segments(tmp_path)
        for one in decode_batch(join_batch(read_chunk(path, 0, 10**6).payloads))
    ]
    assert ids == [record(number).request_id for number in range(40)]
    assert all(read_chunk(path, 0, 10**6).cut_bytes == 0 for path in list_segments(tmp_path))


@pytest.mark.faults
def test_kill_9_loses_no_record_whose_append_returned(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stderr=subprocess.PIPE, text=True) as writer:
        assert writer.stderr is not None
        answered = [int(writer.stderr.readline()) for _ in range(2000)]
        writer.send_signal(signal.SIGKILL)
        answered += [int(line) for line in writer.stderr.read().splitlines(keepends=True) if line.endswith("\n")]
    kept = [
        one.request_id
        for path in list_segments(tmp_path)
        for one in decode_batch(join_batch(read_chunk(path, 0, 10**6).payloads))
    ]
    assert len(list_segments(tmp_path)) > 1
    assert kept[: len(answered)] == [record(number).request_id for number in answered]
    assert len(kept) <= len(answered) + 1
    assert all(read_chunk(path, 0, 10**6).is_final for path in list_segments(tmp_path))
