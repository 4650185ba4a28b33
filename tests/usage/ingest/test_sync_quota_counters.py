"""Quota counters after a commit: one that cannot be raised holds up no other, and no one who counted."""

from structlog.testing import capture_logs

from portal.usage import sync_quota_counters
from portal.usage.ingest import PeriodTotal


async def test_the_others_are_raised_each_once_and_the_reason_is_logged() -> None:
    raised: list[tuple[str, int]] = []

    async def raise_used(account_id: str, period: str, used: int, settled: int) -> None:
        if account_id == "acct_away":
            raise ConnectionError("Redis is away")
        raised.append((account_id, used))

    totals = [PeriodTotal(name, "2026-11", used, 0) for used in (1, 2) for name in ("acct_away", "acct_a", "acct_b")]
    with capture_logs() as logs:
        error = await sync_quota_counters(raise_used, totals)
    assert str(error) == "Redis is away"
    assert raised == [("acct_a", 2), ("acct_b", 2)]
    assert [(line["event"], line["accounts"]) for line in logs] == [("quota_not_raised", 1)]
    assert await sync_quota_counters(raise_used, totals[1:3]) is None
