"""A dead node's folder is emptied whole: also while ingest lags, after a failure, and from several processes' files."""

import asyncio
import fcntl
from pathlib import Path

import pytest

from portal.core.errors import PortalError
from portal.usage import recover_journal
from portal.usage.journal import JournalInUse
from portal.usage.journal.format import encode_frames
from portal.usage.journal.segments import list_segments
from portal.usage.journal.shipper import LOCK_NAME
from portal.usage.journal.writer import OpenSegment
from portal.usage.records import encode_record
from tests.usage.sample import Receiver, records


class Lagging(Receiver):
    """Its bus says a few times that nobody ingests."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.times = times
        self.bus.waiting = self.waiting  # type: ignore[method-assign]  # a bus of another mood

    async def waiting(self, subject: str) -> int:
        self.times -= 1
        return 1000 if self.times >= 0 else 0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two segments of one dead process and one of another, 10 records each."""
    for number, (incarnation, segment) in enumerate((("0" * 26, 1), ("0" * 26, 2), ("1" * 26, 1))):
        opened = OpenSegment(tmp_path, incarnation, segment)
        opened.append(encode_frames(encode_record(one) for one in records(30)[number * 10 : number * 10 + 10]))
        opened.close()
    return tmp_path


async def test_all_of_it_is_shipped(folder: Path) -> None:
    receiver = Receiver()
    shipped = await recover_journal(folder, receiver.bus, 4)
    assert (shipped.shipped, shipped.cut_bytes, shipped.damaged) == (30, 0, [])
    assert sorted(one.request_id for one in receiver.records) == [one.request_id for one in records(30)]
    assert list_segments(folder) == []


async def test_it_waits_for_ingest_that_lags(folder: Path) -> None:
    receiver = Lagging(2)
    assert (await recover_journal(folder, receiver.bus, 4)).shipped == 30
    assert list_segments(folder) == []


async def test_after_a_failure_it_goes_on(folder: Path) -> None:
    receiver = Receiver(failures=1)
    with pytest.raises(ConnectionError):
        await recover_journal(folder, receiver.bus, 4)
    await recover_journal(folder, receiver.bus, 4)
    assert {one.request_id for one in receiver.records} == {one.request_id for one in records(30)}


async def test_a_folder_that_a_shipper_works_on_is_refused(folder: Path) -> None:
    with (folder / LOCK_NAME).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(JournalInUse, match="A living process ships"):
            await recover_journal(folder, Receiver().bus, 4)
    assert (await asyncio.wait_for(recover_journal(folder, Receiver().bus, 4), 20)).shipped == 30


async def test_what_is_no_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PortalError, match="is no folder"):
        await recover_journal(tmp_path / "nowhere", Receiver().bus, 4)
