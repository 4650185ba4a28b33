"""The alarm of the journal's backlog: when it does not shrink, and not for what a start finds and ships."""

from pathlib import Path

from structlog.testing import capture_logs

from portal.core.database import Database
from portal.core.embedded import EmbeddedServices
from portal.usage import Journal, JournalShipper
from tests.billing.account import GRACE, finalize_all, month, new_account
from tests.usage.databases import stocked_database
from tests.usage.sample import NOON, Receiver, record
from workers.watch_usage import ROUNDS, UsageMonitor


def journalled(folder: Path, count: int) -> None:
    """Records of long ago, as a process leaves them that was killed."""
    journal = Journal(folder, segment_bytes=4096, sync_ms=10)
    journal.open()
    for number in range(count):
        journal.append([record(number, NOON.replace(year=2025))])
    journal.close()


async def alarms(watch: UsageMonitor, looks: int) -> int:
    """How often it is told during so many looks, which are five seconds apart."""
    with capture_logs() as logs:
        for _ in range(looks):
            await watch.look()
    return sum(line["event"] == "journal_backlog" and line["log_level"] == "error" for line in logs)


async def test_a_backlog_that_stays_is_logged_each_minute_after_the_first(database: Database, tmp_path: Path) -> None:
    journalled(tmp_path, 20)
    watch = UsageMonitor(tmp_path, database, None, GRACE)
    assert await alarms(watch, ROUNDS) == 0
    assert await alarms(watch, 1) == 1
    assert await alarms(watch, ROUNDS - 1) == 0
    journalled(tmp_path, 20)
    assert await alarms(watch, 1) == 1
    assert watch.state.backlog_seconds is not None


async def test_what_a_start_finds_is_no_alarm_while_it_shrinks(database: Database, tmp_path: Path) -> None:
    journalled(tmp_path, 20)
    watch, shipper = UsageMonitor(tmp_path, database, None, GRACE), JournalShipper(tmp_path, Receiver().bus, 1000)
    assert await alarms(watch, ROUNDS) == 0
    await shipper.run_once()
    journalled(tmp_path, 10)
    assert await alarms(watch, ROUNDS) == 0
    await shipper.run_once()
    assert await alarms(watch, 2 * ROUNDS) == 0
    assert (watch.state.backlog_bytes, watch.state.backlog_seconds) == (0, 0.0)


async def test_accounts_that_should_have_been_billed_are_counted(services: EmbeddedServices, tmp_path: Path) -> None:
    async with stocked_database(services) as own:
        watch = UsageMonitor(tmp_path, own, None, GRACE)
        for count in (1, 2):
            account_id = await new_account(own, opened=month(1))
            await watch.look()
            assert watch.state.overdue == count
        await finalize_all(own, account_id)
        await watch.look()
        assert watch.state.overdue == 0, "billing is at work"
