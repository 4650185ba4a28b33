"""The quarantine's retention: an entry goes after its days, told in the log and in the metrics, and not before."""

from datetime import timedelta

import pytest
from prometheus_client import REGISTRY
from sqlalchemy import text
from structlog.testing import capture_logs

from portal.core.clock import utc_now
from portal.core.database import Database
from portal.core.embedded import EmbeddedServices
from portal.usage import ResourceCap, Retention, count_quarantined, encode_batch, purge_quarantine
from portal.usage.ingest import ingest_batches, quarantine, store
from portal.usage.ingest.validate import RejectedRecord
from tests.usage.databases import own_database
from tests.usage.sample import record
from workers import keep_partitions

AGE = "UPDATE usage_quarantine SET quarantined_at = :at WHERE account_id IS DISTINCT FROM 'acct_4'"
FAR = utc_now() + timedelta(days=30)


async def count(database: Database) -> int:
    async with database.transaction() as tx:
        return await count_quarantined(tx)


async def test_expired_entries_go_and_are_logged(services: EmbeddedServices, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quarantine, "PURGE_BATCH_SIZE", 2)
    async with own_database(services) as database:
        future = [record(number, FAR, account_id=f"acct_{number}") for number in range(5)]
        await ingest_batches(database, [encode_batch(future), b"nonsense"], ResourceCap())
        assert await count(database) == 6
        async with database.transaction() as tx:
            await tx.execute(text(AGE), {"at": utc_now() - timedelta(days=401)})
        assert not await purge_quarantine(database, Retention(quarantine_days=0), utc_now())
        assert not await purge_quarantine(database, Retention(quarantine_days=402), utc_now())
        before = expired("FUTURE")
        with capture_logs() as logs:
            await keep_partitions.keep_once(database, Retention())
        told = [line for line in logs if line["event"] == "quarantine_expired"]
        assert [line["count"] for line in told] == [2, 2, 1]
        assert told[0]["log_level"] == "warning"
        assert [name for line in told for name in line["accounts"]] == [f"acct_{number}" for number in range(4)]
        assert (expired("FUTURE") - before, expired("MALFORMED")) == (4, 1)
        assert await count(database) == 1


def expired(reason: str) -> float:
    return REGISTRY.get_sample_value("portal_quarantine_expired_total", {"reason": reason}) or 0


async def test_odd_texts_that_are_in_a_journal_already_are_counted(services: EmbeddedServices) -> None:
    """An earlier version answered checks with them; what it put into the quarantine counts when it is replayed."""
    odd = ("::1%\0", "::1%\u202e", "::1%" + "\0" * 60, "\0", "\n", "::ffff:203.0.113.7%<b>")
    async with own_database(services) as database:
        account = "acct_odd"
        texts = [record(number, account_id=account, ip=ip, resource="GET /\0\n") for number, ip in enumerate(odd)]
        result = await ingest_batches(database, [encode_batch(texts)], ResourceCap())
        assert (result.added, result.rejected) == (len(odd), 0)
        assert await count(database) == 0
        again = record(99, account_id=account, ip="::1%\0")
        async with database.transaction() as tx:
            await store.insert_rejected(
                tx, [RejectedRecord("MALFORMED", "A text in it has U+0000.", encode_batch([again]), account, None)]
            )
        replayed = await quarantine.replay_quarantined(database, None)
        assert (replayed.counted, replayed.rejected) == (1, 0)
        assert await count(database) == 0
