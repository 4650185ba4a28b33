"""Where the journal is kept: a folder that goes and comes back, deleted files, a disk that fills and empties."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from time import monotonic, sleep

import pytest
from structlog.testing import capture_logs

from portal.usage import Journal, JournalShipper, JournalUnavailable
from tests.usage.sample import Receiver, record

WAIT_SECONDS = 10.0


def until(condition: Callable[[], bool]) -> None:
    end = monotonic() + WAIT_SECONDS
    while not condition():
        assert monotonic() < end
        sleep(0.01)


def opened(folder: Path, *, segment_bytes: int = 100_000) -> Journal:
    journal = Journal(folder, segment_bytes=segment_bytes, sync_ms=20)
    journal.open()
    return journal


def append_until_refused(journal: Journal, first: int) -> int:
    """Append records until one is refused, and return its number."""
    for number in range(first, 100_000):
        try:
            journal.append([record(number)])
        except JournalUnavailable:
            return number
    raise AssertionError("nothing was refused")


def shipped(folder: Path) -> set[str]:
    """The ids of all records that a shipper finds in the folder."""
    receiver = Receiver()

    async def ship() -> None:
        await JournalShipper(folder, receiver.bus, 1000).run_once()

    asyncio.run(ship())
    return {row.request_id for row in receiver.records}


def ids(count: int) -> set[str]:
    return {record(number).request_id for number in range(count)}


def remove(folder: Path) -> None:
    shutil.rmtree(folder)


def move(folder: Path) -> None:
    folder.rename(folder.with_name("elsewhere"))


def delete_files(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()


@pytest.mark.parametrize("count", [1, 7, 500])
def test_a_folder_that_is_gone_is_never_made_and_heals_when_it_is_back(tmp_path: Path, count: int) -> None:
    folder = tmp_path / "data" / "journal"
    journal = opened(folder)
    for number in range(count):
        journal.append([record(number)])
    remove(folder)
    until(lambda: not journal.is_writable)
    with pytest.raises(JournalUnavailable, match=r"its folder is gone|was deleted"):
        journal.append([record(count)])
    sleep(1.2)
    assert not folder.exists()
    assert not journal.is_writable
    folder.mkdir()
    until(lambda: journal.is_writable)
    journal.append([record(count)])
    journal.close()
    assert shipped(folder) == ids(count + 1)


def test_files_that_somebody_deleted_are_written_again(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    for number in range(200):
        journal.append([record(number)])
        if number % 50 == 49:
            failures = journal.failure_count
            delete_files(tmp_path)
            until(lambda failures=failures: journal.failure_count > failures)  # type: ignore[misc]  # it closes over this turn's
            until(lambda: journal.is_writable)
    journal.close()
    assert shipped(tmp_path) == ids(200)


def test_a_shipper_makes_no_folder(tmp_path: Path) -> None:
    assert shipped(tmp_path / "none") == set()
    assert not (tmp_path / "none").exists()


@pytest.fixture(params=["512k", "2m"])
def small_disk(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    place = tmp_path / "disk"
    place.mkdir()
    options = ["mount", "-t", "tmpfs", "-o", f"size={request.param}", "tmpfs", str(place)]
    if os.geteuid() != 0 or subprocess.run(options, check=False).returncode:
        pytest.skip("mounting a small file system needs root")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_full_disk_stops_once_and_starts_once(small_disk: Path) -> None:
    """However often a few bytes are freed: readiness must not flap."""
    journal = opened(small_disk / "journal", segment_bytes=20_000)
    with capture_logs() as logs:
        ballast = small_disk / "ballast"
        with ballast.open("wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(b"x" * 4096)
        written = append_until_refused(journal, 0)
        size = ballast.stat().st_size
        for step in range(1, 5):
            os.truncate(ballast, size - step * 4096)
            sleep(0.6)
            assert not journal.is_writable
        ballast.unlink()
        until(lambda: journal.is_writable)
        journal.append([record(written)])
    journal.close()
    events = [line["event"] for line in logs if line["event"].startswith("journal_")]
    assert events.count("journal_unavailable") == 1
    assert events.count("journal_writable_again") == 1
    assert ids(written + 1) <= shipped(small_disk / "journal")


def test_an_unmounted_volume_gets_no_journal_beneath_it(small_disk: Path) -> None:
    folder = small_disk / "journal"
    journal = opened(folder)
    journal.append([record(0)])
    subprocess.run(["umount", "-l", str(small_disk)], check=True)
    try:
        until(lambda: not journal.is_writable or journal.failure_count > 0 or not folder.exists())
        folder.mkdir()
        for _ in range(3):
            append_until_refused(journal, 1)
            sleep(0.6)
        assert list(folder.iterdir()) == []
    finally:
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(small_disk)], check=True)
    folder.mkdir()
    until(lambda: journal.is_writable)
    journal.close()
