"""A plan that was chosen for the next period holds for checks from its instant on, with nobody there to say so."""

import time
from datetime import datetime, timedelta
from types import SimpleNamespace

import pytest

from portal import plans
from portal.check import PolicyCache
from portal.check.policy import cache
from portal.core.actor import Actor
from portal.core.clock import utc_now
from portal.keys import secret_digest
from tests.check.conftest import MakeKey, Process

MOMENT = timedelta(milliseconds=1)


@pytest.fixture
async def waiting(process: Process, owner: Actor, make_key: MakeKey) -> SimpleNamespace:
    """A key of an account that goes from Pro to Free with the next period."""
    secret = (await make_key(owner)).secret
    async with process.database.transaction(owner.account_id) as tx:
        ids = {plan.slug: plan.id for plan in await plans.list_plans(tx)}
        await plans.subscribe(tx, owner, ids["pro"])
        chosen = await plans.subscribe(tx, owner, ids["free"])
    assert chosen.pending is not None
    return SimpleNamespace(digest=secret_digest(secret), at=chosen.pending.starts_at, ids=ids)


def move_clock(monkeypatch: pytest.MonkeyPatch, to: datetime) -> None:
    """Let both clocks of the cache be ahead by as much."""
    ahead = (to - utc_now()).total_seconds()
    monkeypatch.setattr(cache, "utc_now", lambda: utc_now() + timedelta(seconds=ahead))
    monkeypatch.setattr(cache, "monotonic", lambda: time.monotonic() + ahead)


async def test_what_is_in_memory_changes_at_the_instant_without_a_look_up(
    process: Process, waiting: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    policies = PolicyCache(process.database, process.limiter, size=10, max_age_seconds=10**8)
    found = await policies.find(waiting.digest)
    assert found is not None
    assert (found.policy.quota_amount, found.policy.is_overage_allowed) == (1_000_000, True)
    assert policies.find_in_memory(waiting.digest) is found
    loads = dict(policies.load_counts)
    with monkeypatch.context() as patched:
        move_clock(patched, waiting.at - timedelta(minutes=1))
        assert policies.find_in_memory(waiting.digest) is found
    move_clock(monkeypatch, waiting.at + MOMENT)
    assert policies.find_in_memory(waiting.digest) is None
    after = await policies.find(waiting.digest)
    assert after is not None
    assert (after.policy.quota_amount, after.policy.is_overage_allowed) == (10_000, False)
    assert after.policy.quota is not None
    assert after.policy.quota.amount == 10_000
    assert (after.policy.version, after.policy.following) == (found.policy.version, None)
    assert {limit.name for rule in after.policy.rules for limit in rule.limits} == {
        limit["name"] for limit in await limits_of(process, waiting.ids["free"])
    }
    assert policies.find_in_memory(waiting.digest) is after
    assert policies.load_counts == loads


async def test_a_process_that_reads_the_shared_copy_later_goes_by_the_instant_too(
    process: Process, waiting: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = PolicyCache(process.database, process.limiter, size=10, max_age_seconds=3600)
    assert await first.find(waiting.digest)
    move_clock(monkeypatch, waiting.at)
    second = PolicyCache(process.database, process.limiter, size=10, max_age_seconds=3600)
    found = await second.find(waiting.digest)
    assert found is not None
    assert found.policy.quota_amount == 10_000


async def test_what_is_withdrawn_never_begins(
    process: Process, owner: Actor, waiting: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    policies = PolicyCache(process.database, process.limiter, size=10, max_age_seconds=3600)
    found = await policies.find(waiting.digest)
    assert found is not None
    async with process.database.transaction(owner.account_id) as tx:
        await plans.withdraw_plan_change(tx, owner)
    fresh = await policies.reload(waiting.digest, found.policy)
    assert fresh is not None
    assert fresh.policy.following is None
    move_clock(monkeypatch, waiting.at + MOMENT)
    again = policies.find_in_memory(waiting.digest) or await policies.find(waiting.digest)
    assert again is not None
    assert again.policy.quota_amount == 1_000_000


async def limits_of(process: Process, plan_id: str) -> list[dict[str, object]]:
    async with process.database.transaction() as tx:
        return (await plans.get_plan(tx, plan_id)).limits
