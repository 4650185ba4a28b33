"""A retry with the same id gets the first answer, whatever has changed since, and consumes nothing."""

from portal import keys
from portal.core.actor import Actor
from tests.check.conftest import MakeKey, Process
from tests.check.test_checker import ask


async def test_a_retry_after_a_change_of_limits_gets_the_first_answer_without_them(
    process: Process, make_key: MakeKey, owner: Actor
) -> None:
    made = await make_key(owner)
    first = await ask(process, made.secret, id="order-1", cost=2)
    async with process.database.transaction(owner.account_id) as tx:
        limits = [keys.KeyLimit("hourly", 5, 3_600_000)]
        await keys.update_key(tx, owner, made.key.id, keys.KeyChanges(limits=limits))
    retried = await ask(process, made.secret, id="order-1", cost=2)
    assert (retried.code, retried.request_id, retried.quota) == (first.code, first.request_id, first.quota)
    assert retried.limits == []
    assert len((await ask(process, made.secret)).limits) == 3
