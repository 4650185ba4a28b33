"""Which limits a check is held to: the plan's, the key's own, those of a resource, buckets."""

import asyncio
from datetime import UTC, datetime

from portal import keys
from portal.check import Code
from portal.check.policy import compile_rules
from portal.core.actor import Actor
from portal.plans import Limit
from tests.check.conftest import MakeKey, Process
from tests.check.test_checker import ask


async def test_a_keys_own_limit_holds_beside_the_plans(process: Process, make_key: MakeKey, owner: Actor) -> None:
    made = await make_key(owner, limits=[keys.KeyLimit("hourly", 3, 3_600_000)])
    answers = [await ask(process, made.secret) for _ in range(4)]
    assert [answer.code for answer in answers] == [*[Code.VALID] * 3, Code.RATE_LIMITED]
    assert [limit.name for limit in answers[-1].limits] == ["own-hourly", "burst", "sustained"]
    async with process.database.transaction(owner.account_id) as tx:
        await keys.update_key(tx, owner, made.key.id, keys.KeyChanges(limits=[]))
    await asyncio.sleep(1)  # a denial is remembered for as long
    assert (await ask(process, made.secret)).valid


def test_windows_of_one_subject_share_a_log_and_buckets_stand_alone() -> None:
    key = keys.Key(
        id="key_1", account_id="acct_1", name="n", environment="live", created_by="p", created_at=datetime.now(UTC)
    )
    rules = compile_rules(
        key,
        [
            Limit("burst", 10, 1000),
            Limit("sustained", 100, 60_000),
            Limit("search", 5, 1000, resource="GET /search*"),
            Limit("account", 50, 1000, per="account"),
            Limit("steady", 20, 1000, algorithm="token_bucket", burst=60),
        ],
    )
    named = {rule.subject.name: [limit.name for limit in rule.limits] for rule in rules}
    assert named == {
        "key_1": ["burst", "sustained"],
        "key_1:GET /search*": ["search"],
        "acct_1:live": ["account"],
        "key_1#steady:1000": ["steady"],
    }
    steady = next(rule for rule in rules if rule.subject.bucket)
    assert (steady.limits[0].amount, steady.limits[0].window_ms, steady.limits[0].step_ms) == (60, 3000, 50)
    search = next(rule for rule in rules if rule.resource)
    assert search.applies_to("GET /search/fast")
    assert not search.applies_to("POST /search")
