"""A storage error is never acknowledged: fsync and write that fail (injected by strace), and disks without room."""

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from portal.usage.journal.segments import list_segments, read_chunk
from portal.usage.records import decode_batch, join_batch
from tests.cli.demo_portal import PROJECT
from tests.faults.tools.report import IS_LONG, Report, sized
from tests.usage.disk import after_power_failure, cut_to
from tests.usage.sample import record

WRITER = (sys.executable, "-m", "tests.faults.tools.journal_writer")
COUNT = sized(60, 200)
DRAW = Random(5)  # noqa: S311  # no secret
RANDOM = [f"{DRAW.randrange(1, 20)}+{DRAW.randrange(3, 9)}" for _ in range(sized(0, 12))]
"""Which calls of a thread fail, in strace's words: the first, and after that each so-many-th. Grouped syncs are few."""
ERRORS = ["EIO", "ENOSPC", *(["EDQUOT", "EFBIG"] if IS_LONG else [])]


def cannot(reason: str) -> None:
    """Skip on a machine that does not allow it; in CI that is a failure."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def strace() -> str:
    found = shutil.which("strace")
    if found is None:
        cannot("strace is not installed: make test installs it when it runs as root")
    elif subprocess.run([found, "-o", "/dev/null", "true"], capture_output=True, check=False).returncode:
        cannot("this machine lets nobody trace a process")
    return str(found)


def trace(strace: str, folder: Path, inject: str, *options: str) -> tuple[list[int], list[str], str]:
    """(acknowledged, all lines, strace's log)."""
    log = folder.with_suffix(".log")
    done = subprocess.run(
        [
            *(strace, "-f", "-y", "-o", str(log), "-e", "trace=write,fsync", "-e", f"inject={inject}"),
            *(*WRITER, str(folder), *options),
        ],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    lines = done.stdout.splitlines()
    return [int(line) for line in lines if line.isdecimal()], lines, log.read_text()


def found_in(folder: Path) -> list[str]:
    """Ids of all records, and that no file has more than an end that was cut off."""
    portions = [read_chunk(path, 0, 10**6) for path in list_segments(folder)]
    assert [portion.damage_at for portion in portions] == [None] * len(portions)
    return [one.request_id for portion in portions for one in decode_batch(join_batch(portion.payloads))]


def lost(acknowledged: list[int], folder: Path) -> list[int]:
    found = {*found_in(folder)}
    return [number for number in acknowledged if record(number).request_id not in found]


@pytest.mark.parametrize("sync_ms", [0, 20])
@pytest.mark.parametrize("when", ["1", "2", "3", "2+3", *RANDOM])
def test_a_sync_that_fails_costs_nothing_even_when_power_fails(
    strace: str, tmp_path: Path, report: Report, when: str, sync_ms: int
) -> None:
    folder = tmp_path / "journal"
    acknowledged, _, log = trace(strace, folder, f"fsync:error=EIO:when={when}", str(sync_ms), str(COUNT))
    assert "INJECTED" in log
    assert acknowledged == [*range(COUNT)]
    assert lost(acknowledged, folder) == []
    cut_to(after_power_failure(log, folder), folder)
    assert lost(acknowledged, folder) == []
    report.tell(f"fsync EIO when={when}, sync {sync_ms} ms", f"{COUNT} acknowledged, 0 lost, after a power failure too")


def test_nothing_is_acknowledged_while_no_sync_succeeds(strace: str, tmp_path: Path, report: Report) -> None:
    """With grouped syncs the records of the first interval are, which is the loss that is stated."""
    options = (str(COUNT), "stop", "no-close")
    acknowledged, lines, _ = trace(strace, tmp_path / "each", "fsync:error=EIO", "0", *options)
    assert (acknowledged, lines) == ([], ["refused"])
    acknowledged, lines, log = trace(strace, tmp_path / "grouped", "fsync:error=EIO", "20", *options)
    assert lines[-1] == "refused"
    assert lost(acknowledged, tmp_path / "grouped") == []
    first_failure = log.index("INJECTED")
    written_before = log[:first_failure].count("/grouped/") + 1
    assert len(acknowledged) <= written_before
    report.tell("fsync EIO for ever", f"{len(acknowledged)} acknowledged before the first, none after it")


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("when", ["2", "7", "3+4", *RANDOM])
def test_a_write_that_fails_is_repeated_or_refused(
    strace: str, tmp_path: Path, report: Report, when: str, error: str
) -> None:
    folder = tmp_path / "journal"
    acknowledged, _, log = trace(strace, folder, f"write:error={error}:when={when}", "20", str(COUNT), "at-end")
    assert "INJECTED" in log
    assert len(acknowledged) > COUNT // 2
    assert lost(acknowledged, folder) == []
    cut_to(after_power_failure(log, folder), folder)
    assert lost(acknowledged, folder) == []
    report.tell(f"write {error} when={when}", f"{len(acknowledged)} of {COUNT} acknowledged, 0 lost")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 128 KiB."""
    place = tmp_path / "disk"
    place.mkdir()
    if os.geteuid() != 0:
        cannot("mounting a small file system needs root")
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", str(place)], check=False)
    if mounted.returncode:
        cannot("this machine lets not even root mount a file system")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


async def test_a_full_disk_refuses_and_goes_on_when_there_is_room(small_disk: Path, report: Report) -> None:
    (small_disk / "filler").write_bytes(b"x" * 110_000)
    writer = await asyncio.create_subprocess_exec(
        *WRITER, str(small_disk / "journal"), "20", str(COUNT * 5), cwd=PROJECT, stdout=subprocess.PIPE
    )
    assert writer.stdout is not None
    lines: list[bytes] = []
    while b"refused\n" not in lines:
        lines.append(await writer.stdout.readline())
        assert lines[-1]
    before = sum(line != b"refused\n" for line in lines)
    assert lost([int(line) for line in lines if line != b"refused\n"], small_disk / "journal") == []
    (small_disk / "filler").unlink()
    lines += (await writer.stdout.read()).splitlines(keepends=True)
    assert await writer.wait() == 0
    acknowledged = [int(line) for line in lines if line != b"refused\n"]
    assert len(acknowledged) > before
    assert lost(acknowledged, small_disk / "journal") == []
    found = found_in(small_disk / "journal")
    assert len(found) == len({*found})
    report.tell("full disk", f"{before} acknowledged until it was full, {len(acknowledged)} in all, 0 lost, 0 double")
