"""A limit is never exceeded and never denies what it allows, however many processes ask."""

import asyncio
from collections import Counter
from pathlib import Path
from time import monotonic

from portal.check.policy.denials import DenialCache
from portal.limits import Decision, LimitRequest, LimitState, Mode, Quota, Status
from tests.faults.tools.check_client import CheckClient
from tests.faults.tools.client_process import Plan
from tests.faults.tools.oracle import decided_us, most_in_window, node_of, span_seconds, wrong_denials
from tests.faults.tools.place import Place
from tests.faults.tools.processes import SERVERS, Served, Swarm
from tests.faults.tools.report import Report, sized

LIMIT = 100
WINDOW_MS = sized(2_000, 10_000)
SECONDS = sized(6, 60)
ALONE_SECONDS = sized(3, 30)
WINDOW_US = WINDOW_MS * 1000
QUOTA = 200


async def test_eight_processes_never_get_more_than_the_limit(
    place: Place, portal: Served, report: Report, tmp_path: Path
) -> None:
    key = await place.make_key(await place.customer((LIMIT, WINDOW_MS)))
    plan = Plan(portal.url, place.service_token, [key], str(tmp_path / "swarm"), processes=8)
    async with Swarm(portal, plan) as swarm:
        await asyncio.sleep(SECONDS)
    assert {noted.status for noted in swarm.notes} == {200}
    assert not any(noted.is_degraded for noted in swarm.notes)
    admitted = [decided_us(noted.request_id) for noted in swarm.notes if noted.valid]
    denied = [decided_us(noted.request_id) for noted in swarm.notes if noted.code == "RATE_LIMITED"]
    most = most_in_window(admitted, WINDOW_US)
    wrong = wrong_denials(admitted, denied, LIMIT, WINDOW_US)
    report.tell(
        "exactness",
        f"8 processes, {len(swarm.notes)} checks in {span_seconds(admitted + denied):.1f} s, {len(admitted)} admitted,"
        f" at most {most} in any {WINDOW_MS} ms, {len(wrong)} wrong denials",
    )
    assert len(admitted) + len(denied) == len(swarm.notes)
    assert len({node_of(noted.request_id) for noted in swarm.notes}) == SERVERS
    assert most == LIMIT
    assert wrong == []
    ids = [noted.request_id for noted in swarm.notes]
    assert len(set(ids)) == len(ids)
    await place.await_stored(noted.request_id for noted in swarm.notes if noted.valid)


async def test_a_client_at_the_limit_is_never_denied(place: Place, portal: Served, report: Report) -> None:
    """It asks again only once the portal's own answer says that it may: lateness can only be in its favour.

    Refused, it asks some times more, since what a process answers from its memory must be as true.
    """
    key = await place.make_key(await place.customer((LIMIT, WINDOW_MS)))
    admitted: list[int] = []
    denied: list[int] = []
    async with CheckClient(portal.url, place.service_token) as client:
        until = monotonic() + ALONE_SECONDS
        while monotonic() < until:
            answer = (await client.check({"key": key})).document
            times = 1 + len(denied) % 4
            while not answer["valid"] and (times := times - 1):
                denied.append(decided_us(answer["requestId"]))
                answer = (await client.check({"key": key})).document
            if answer["valid"]:
                admitted.append(decided_us(answer["requestId"]))
                assert answer["retryAfterMs"] is None
                continue
            denied.append(decided_us(answer["requestId"]))
            assert answer["limits"][0]["resetMs"] == answer["retryAfterMs"]
            await asyncio.sleep(answer["retryAfterMs"] / 1000)
            again = (await client.check({"key": key})).document
            assert again["valid"], (answer, again)
            admitted.append(decided_us(again["requestId"]))
    assert most_in_window(admitted, WINDOW_US) == LIMIT
    assert wrong_denials(admitted, denied, LIMIT, WINDOW_US) == []
    report.tell("exactly at the limit", f"{len(admitted)} admitted, {len(denied)} denied, each rightly and to the ms")


async def test_a_wait_answered_from_memory_is_not_too_short() -> None:
    """The script answered half a second after it was asked: what it named is counted from its answer."""
    denials = DenialCache()
    request = LimitRequest("acct_1", 1, Mode.CONSUME, 1, (), None)
    decision = Decision(Status.RATE_LIMITED, 0, states=[LimitState(LIMIT, 900_000, 900_000)])
    denials.store(request, decision, requested_at=monotonic() - 0.5)
    recalled = denials.find(1)
    assert recalled is not None
    assert recalled.states[0].retry_us > 900_000 - 400_000


async def test_a_quota_s_denial_ends_with_its_period() -> None:
    denials = DenialCache()
    quota = Quota(QUOTA, (("2026-01", 0, 1_000_000), ("2026-02", 1_000_000, 2_000_000)))
    request = LimitRequest("acct_1", 1, Mode.CONSUME, 1, (), quota)
    denials.store(request, Decision(Status.QUOTA_EXCEEDED, 990_000, QUOTA, 0), requested_at=monotonic() - 0.02)
    assert denials.find(1) is None


async def test_a_client_that_waits_for_room_is_never_denied(place: Place, portal: Served, report: Report) -> None:
    """All of the limit at once, then each unit anew when the one of a window ago has left: no denial at all."""
    key = await place.make_key(await place.customer((LIMIT, WINDOW_MS)))
    codes: Counter[str] = Counter()
    async with CheckClient(portal.url, place.service_token) as client:
        until = monotonic() + ALONE_SECONDS
        while monotonic() < until:
            answer = (await client.check({"key": key})).document
            codes[answer["code"]] += 1
            (limit,) = answer["limits"]
            if limit["remaining"] == 0:
                await asyncio.sleep(limit["resetMs"] / 1000)
    report.tell("paced by resetMs", f"{dict(codes)}")
    assert codes.keys() == {"VALID"}
    assert codes["VALID"] > LIMIT


async def test_a_denial_by_the_minute_burns_nothing_of_the_month(place: Place, portal: Served, report: Report) -> None:
    key = await place.make_key(await place.customer((12, 60_000), monthly_quota=QUOTA))
    async with portal.a_client_each() as clients:
        answers = [(await clients[number % SERVERS].check({"key": key})).document for number in range(13)]
        looked = (await clients[0].check({"key": key, "cost": 0})).document
    assert [answer["code"] for answer in answers] == ["VALID"] * 12 + ["RATE_LIMITED"]
    assert [answer["quota"]["remaining"] for answer in answers] == [*range(199, 187, -1), 188]
    assert (looked["quota"]["used"], looked["quota"]["remaining"]) == (12, 188)
    report.tell(
        "12 a minute, 200 a month", f"13th: {answers[-1]['code']}, month has {looked['quota']['remaining']} left"
    )
