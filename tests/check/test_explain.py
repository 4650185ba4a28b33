"""Explain names the instant at which the check would pass: not before everything would admit it."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from portal import keys
from portal.check import Code
from portal.check.response import Explanation
from portal.core.actor import Actor, Role
from portal.core.clock import utc_now
from portal.core.database import Database
from portal.core.ids import AccountId
from portal.plans import first_period
from tests.check.conftest import Process, make_customer
from tests.check.test_checker import ask


async def explained(process: Process, secret: str, **fields: Any) -> Explanation:
    answer = await ask(process, secret, explain=True, **fields)
    assert not answer.valid
    assert isinstance(answer.explanation, Explanation)
    return answer.explanation


def instant(explanation: Explanation) -> datetime:
    assert explanation.passes_at is not None
    return datetime.fromisoformat(explanation.passes_at)


async def test_what_a_window_denies_passes_once_it_has_moved_on(process: Process, database: Database) -> None:
    _, secret = await make_customer(database, (2, 60_000))
    assert (await ask(process, secret, cost=2)).valid
    told = await explained(process, secret)
    assert told.code is Code.RATE_LIMITED
    assert timedelta(seconds=50) < instant(told) - utc_now() <= timedelta(seconds=60, milliseconds=1)  # rounded up


async def test_what_window_and_quota_deny_passes_with_the_next_month(process: Process, database: Database) -> None:
    """The window alone would let it pass in a minute, and then the quota would not."""
    _, secret = await make_customer(database, (2, 60_000), monthly_quota=2)
    assert (await ask(process, secret, cost=2)).valid
    told = await explained(process, secret)
    assert told.code is Code.RATE_LIMITED
    assert {rule["rule"]: rule["passes"] for rule in told.rules}["QUOTA_EXCEEDED"] is False
    assert instant(told) == first_period(utc_now(), "UTC").end


async def test_a_denial_by_a_window_waits_for_the_quota_too(process: Process, database: Database) -> None:
    _, secret = await make_customer(database, (2, 60_000), monthly_quota=2)
    assert (await ask(process, secret, cost=2)).valid
    denied = await ask(process, secret)
    wait = first_period(utc_now(), "UTC").end - utc_now()
    assert denied.code is Code.RATE_LIMITED
    assert denied.retry_after_ms is not None
    assert denied.retry_after_ms > min(wait, timedelta(minutes=2)) / timedelta(milliseconds=1) - 5000


@pytest.mark.parametrize(("cost", "quota"), [(3, None), (2, 1)])
async def test_a_cost_above_limit_or_quota_never_passes(
    process: Process, database: Database, cost: int, quota: int | None
) -> None:
    _, secret = await make_customer(database, (2, 60_000), monthly_quota=quota)
    assert (await explained(process, secret, cost=cost)).passes_at is None


async def test_a_key_that_ends_before_never_passes_again(process: Process, database: Database) -> None:
    account_id, secret = await make_customer(database, (2, 60_000))
    assert (await ask(process, secret, cost=2)).valid
    async with process.database.transaction(account_id) as tx:
        (key,) = await keys.list_keys(tx, account_id, keys.KeyFilter(), most=2)
        owner = Actor("person", "usr_1", AccountId(account_id), role=Role.OWNER)
        await keys.update_key(tx, owner, key.id, keys.KeyChanges(expires_at=tx.now + timedelta(seconds=20)))
    told = await explained(process, secret)
    assert (told.code, told.passes_at) == (Code.RATE_LIMITED, None)
