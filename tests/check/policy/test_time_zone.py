"""A zone that was chosen: policies of before are out of date, and new ones have the ends that are stored."""

from portal import plans
from portal.check.policy.compile import load_policy
from portal.core.actor import Actor
from portal.core.clock import to_microseconds
from portal.keys import secret_digest
from tests.check.conftest import MakeKey, Process


async def test_the_policy_has_the_end_of_the_next_period_in_the_new_zone(
    process: Process, owner: Actor, make_key: MakeKey
) -> None:
    digest = secret_digest((await make_key(owner)).secret)
    before = await load_policy(process.database, digest)
    assert before is not None
    async with process.database.transaction(owner.account_id) as tx:
        chosen = await plans.set_time_zone(tx, owner, "Asia/Tokyo")
    after = await load_policy(process.database, digest)
    assert after is not None
    assert after.version > before.version
    for policy, zone in ((before, "UTC"), (after, "Asia/Tokyo")):
        expected = [chosen.current, plans.next_period(chosen.current, zone)]
        assert policy.periods[-2:] == tuple(
            (period.name, to_microseconds(period.start), to_microseconds(period.end)) for period in expected
        )
