"""One check: every code in its order, what it consumes, what it counts."""

import asyncio
from datetime import timedelta

import msgspec
import pytest
from sqlalchemy import text
from structlog.testing import capture_logs

from portal import keys
from portal.check import CheckResponse, Code
from portal.check.request import CheckRequest
from portal.core.actor import Actor
from portal.runtime.container import CLOCK_ERROR_SECONDS
from tests.check.conftest import MakeKey, Process

SERVICE = "svc_1"


async def ask(process: Process, key: str, **fields: object) -> CheckResponse:
    checked = await process.checker.check(SERVICE, CheckRequest(key=key, **fields))  # type: ignore[arg-type]  # tests pass fields by name
    return checked.response


@pytest.mark.fast
async def test_a_valid_check_answers_with_the_key_its_limits_and_quota(
    process: Process, make_key: MakeKey, owner: Actor
) -> None:
    made = await make_key(owner, scopes=["search:read"], metadata={"team": "a"})
    answer = await ask(process, made.secret, resource="GET /v1/search")
    assert (answer.valid, answer.code) == (True, Code.VALID)
    assert (answer.key_id, answer.account_id, answer.environment) == (made.key.id, owner.account_id, "live")
    assert (answer.name, answer.scopes, answer.metadata) == ("one", ("search:read",), {"team": "a"})
    assert {limit.name: limit.remaining for limit in answer.limits} == {"burst": 9, "sustained": 99}
    assert answer.quota is not None
    assert (answer.quota.limit, answer.quota.used, answer.quota.remaining) == (10_000, 1, 9_999)
    assert answer.retry_after_ms is None


async def test_an_unknown_or_mistyped_key_is_not_found(process: Process) -> None:
    broken = "pk_live_" + "a" * 36
    unknown = keys.secrets.assemble_secret("pk", "live", "a" * 30)
    for key in (broken, unknown, "nonsense"):
        answer = await ask(process, key)
        assert (answer.valid, answer.code, answer.key_id) == (False, Code.NOT_FOUND, None)
        assert answer.request_id.startswith("req_")


async def test_a_test_key_leaves_the_quota_alone(process: Process, make_key: MakeKey, owner: Actor) -> None:
    made = await make_key(owner, environment="test")
    answer = await ask(process, made.secret)
    assert (answer.valid, answer.quota) == (True, None)


async def test_the_limit_denies_the_next_call_and_says_how_long(
    process: Process, make_key: MakeKey, owner: Actor
) -> None:
    made = await make_key(owner)
    answers = await asyncio.gather(*[ask(process, made.secret) for _ in range(11)])
    assert [answer.valid for answer in answers].count(True) == 10
    denied = next(answer for answer in answers if not answer.valid)
    assert denied.code is Code.RATE_LIMITED
    assert denied.limits[0].name == "burst"
    assert denied.limits[0].remaining == 0
    assert denied.retry_after_ms is not None
    assert 0 < denied.retry_after_ms <= 1000
    await asyncio.sleep(denied.retry_after_ms / 1000)
    assert (await ask(process, made.secret)).valid


async def test_a_cost_above_the_limit_can_never_pass(process: Process, make_key: MakeKey, owner: Actor) -> None:
    made = await make_key(owner)
    answer = await ask(process, made.secret, cost=11)
    assert (answer.code, answer.retry_after_ms) == (Code.RATE_LIMITED, None)


async def test_cost_zero_looks_without_consuming_or_counting(process: Process, make_key: MakeKey, owner: Actor) -> None:
    made = await make_key(owner)
    before = len(process.journalled())
    for _ in range(20):
        assert (await ask(process, made.secret, cost=0)).valid
    assert (await ask(process, made.secret, cost=0)).limits[0].remaining == 10
    assert len(process.journalled()) == before


async def test_pausing_and_resuming_work_at_once(process: Process, make_key: MakeKey, owner: Actor) -> None:
    made = await make_key(owner)
    assert (await ask(process, made.secret)).valid
    async with process.database.transaction(owner.account_id) as tx:
        await keys.pause_key(tx, owner, made.key.id)
    assert (await ask(process, made.secret)).code is Code.DISABLED
    async with process.database.transaction(owner.account_id) as tx:
        await keys.resume_key(tx, owner, made.key.id)
    assert (await ask(process, made.secret)).valid


async def test_after_a_revocation_no_answer_is_valid(process: Process, make_key: MakeKey, owner: Actor) -> None:
    made = await make_key(owner)
    assert (await ask(process, made.secret)).valid
    async with process.database.transaction(owner.account_id) as tx:
        await keys.revoke_key(tx, owner, made.key.id, "leaked")
    assert (await ask(process, made.secret)).code is Code.REVOKED


async def test_an_expired_key_is_refused(process: Process, make_key: MakeKey, owner: Actor) -> None:
    made = await make_key(owner)
    async with process.database.transaction(owner.account_id) as tx:
        await tx.execute(
            text("UPDATE keys SET expires_at = now() - interval '1 s' WHERE id = :id"), {"id": made.key.id}
        )
    assert (await ask(process, made.secret)).code is Code.EXPIRED


async def test_a_suspended_account_is_refused(process: Process, make_key: MakeKey, owner: Actor) -> None:
    made = await make_key(owner)
    async with process.database.transaction() as tx:
        await tx.execute(text("UPDATE accounts SET suspended_at = now() WHERE id = :id"), {"id": owner.account_id})
    assert (await ask(process, made.secret)).code is Code.ACCOUNT_SUSPENDED


async def test_addresses_and_scopes_are_held_to(process: Process, make_key: MakeKey, owner: Actor) -> None:
    made = await make_key(owner, allowed_ips=["203.0.113.0/24"], scopes=["orders:*"])
    assert (await ask(process, made.secret)).code is Code.IP_NOT_ALLOWED
    assert (await ask(process, made.secret, ip="198.51.100.1")).code is Code.IP_NOT_ALLOWED
    assert (await ask(process, made.secret, ip="203.0.113.9", scopes=["search:read"])).code is Code.INSUFFICIENT_SCOPE
    assert (await ask(process, made.secret, ip="::ffff:203.0.113.9", scopes=["orders:write"])).valid


async def test_rotating_keeps_both_secrets_on_one_allowance(process: Process, make_key: MakeKey, owner: Actor) -> None:
    made = await make_key(owner)
    async with process.database.transaction(owner.account_id) as tx:
        rotated = await keys.rotate_key(tx, owner, made.key.id, timedelta(hours=1))
    answers = [await ask(process, secret) for secret in (made.secret, rotated.secret) * 6]
    assert [answer.valid for answer in answers].count(True) == 10
    assert {answer.key_id for answer in answers} == {made.key.id}


async def test_rotating_without_overlap_ends_the_old_secret(process: Process, make_key: MakeKey, owner: Actor) -> None:
    made = await make_key(owner)
    async with process.database.transaction(owner.account_id) as tx:
        rotated = await keys.rotate_key(tx, owner, made.key.id, timedelta(0))
    assert (await ask(process, made.secret)).code is Code.EXPIRED
    assert (await ask(process, rotated.secret)).valid


async def test_a_retry_with_the_same_id_consumes_and_counts_once(
    process: Process, make_key: MakeKey, owner: Actor
) -> None:
    made = await make_key(owner)
    first = await ask(process, made.secret, id="order-1", cost=3)
    again = await ask(process, made.secret, id="order-1", cost=3)
    assert again == msgspec.structs.replace(first, replayed=True)
    assert (await ask(process, made.secret, cost=0)).quota.used == 3  # type: ignore[union-attr]  # a live key has a quota
    rows = process.journalled()
    assert rows[-1] == rows[-2]


async def test_a_retry_after_a_revocation_is_not_valid(process: Process, make_key: MakeKey, owner: Actor) -> None:
    made = await make_key(owner)
    assert (await ask(process, made.secret, id="order-2")).valid
    async with process.database.transaction(owner.account_id) as tx:
        await keys.revoke_key(tx, owner, made.key.id)
    assert (await ask(process, made.secret, id="order-2")).code is Code.REVOKED


async def test_denials_are_counted_with_their_code(process: Process, make_key: MakeKey, owner: Actor) -> None:
    made = await make_key(owner, scopes=[])
    denied = await ask(process, made.secret, scopes=["x"], resource="GET /a")
    row = process.journalled()[-1]
    assert (row.request_id, row.code, row.resource) == (denied.request_id, "INSUFFICIENT_SCOPE", "GET /a")


async def test_explaining_is_no_free_pass_and_consumes_nothing(
    process: Process, make_key: MakeKey, owner: Actor
) -> None:
    made = await make_key(owner)
    before = len(process.journalled())
    answer = await ask(process, made.secret, explain=True, scopes=["x"])
    assert (answer.valid, answer.code) == (False, Code.EXPLAINED)
    assert answer.explanation
    assert answer.explanation.code is Code.INSUFFICIENT_SCOPE
    assert answer.explanation.passes_at is None
    fine = await ask(process, made.secret, explain=True)
    assert fine.explanation
    assert (fine.explanation.code, fine.limits[0].remaining) == (Code.VALID, 10)
    assert len(process.journalled()) == before


async def test_a_redis_that_lost_everything_is_seeded_from_postgresql(
    process: Process, make_key: MakeKey, owner: Actor
) -> None:
    made = await make_key(owner)
    await ask(process, made.secret)
    async with process.database.transaction() as tx:
        await tx.execute(
            text("INSERT INTO usage_periods VALUES (:id, to_char(now(), 'YYYY-MM'), 700)"), {"id": owner.account_id}
        )
    await process.limiter.shard_of(owner.account_id).connection.call("DEL", f"account:{owner.account_id}")
    with capture_logs() as logs:
        answer = await ask(process, made.secret)
        await ask(process, (await make_key(owner)).secret)
    assert answer.quota is not None
    assert answer.quota.used == 701
    assert [(line["event"], line["account"]) for line in logs] == [("counters_lost", owner.account_id)]


async def test_a_new_account_has_lost_nothing(process: Process, make_key: MakeKey, owner: Actor) -> None:
    with capture_logs() as logs:
        await ask(process, (await make_key(owner)).secret)
    assert (logs, process.checker.unseeded_count) == ([], 1)


async def test_the_clock_of_this_machine_is_held_against_that_of_redis(
    process: Process, make_key: MakeKey, owner: Actor
) -> None:
    await ask(process, (await make_key(owner)).secret)
    ids = process.checker.ids
    assert abs(ids.clock_error_seconds()) < CLOCK_ERROR_SECONDS
    ids.sync_clock(ids.now_us() - 3_600_000_000)
    assert ids.clock_error_seconds() > 3_500
