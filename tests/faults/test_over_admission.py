"""No over-admission, whoever asks at once: eight processes, few subjects, bursts at every edge, ten million decisions.

Judged by a plain oracle of each algorithm's definition and by nothing but the instants of Redis in the decisions.
"""

import asyncio
import subprocess
import sys
from pathlib import Path
from time import monotonic

import httpx2
import msgspec
import pytest

from portal.core.ids import new_id
from tests.cli.demo_portal import PROJECT, portal_environment
from tests.faults.tools.assault import ALGORITHMS, BUCKET, PERIOD_US, WINDOWS, Judged, Ledger
from tests.faults.tools.assault import QUOTA as PERIOD_UNITS
from tests.faults.tools.limiter_process import Assault, Told, read_told
from tests.faults.tools.oracle import decided_us, most_in_window, node_of
from tests.faults.tools.place import Place
from tests.faults.tools.processes import Served
from tests.faults.tools.report import Report, sized

DECISIONS = sized(100_000, 10_000_000)
BATCHES = sized(60, 2_000)
BATCH = 1000
POSTERS = 8
LIMIT, WINDOW_MS = 500, 1000
QUOTA = sized(2_500, 100_000)
PROCESSES, HAMMERERS = 8, 6
TIMEOUT_SECONDS = sized(60, 1800)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_eight_processes_admit_exactly_what_the_definition_allows(
    place: Place, report: Report, tmp_path: Path, algorithm: str
) -> None:
    each = -(-DECISIONS // HAMMERERS)
    plan = Assault(place.services.redis_urls[0], str(tmp_path / "told"), algorithm, new_id("t"), each, PROCESSES)
    begin = monotonic()
    await assail(plan)
    took = monotonic() - begin
    told = read_told(tmp_path / "told")
    judged = [Ledger(units).judge(algorithm, told.denied[key]) for key, units in enumerate(told.admitted)]
    report.tell(f"over-admission, {algorithm}", summary(told, judged, took))
    assert told.failures <= told.decisions // 100  # of a machine so busy that Redis was silent for seconds
    assert told.decisions >= DECISIONS
    assert all(told.admitted)
    assert sum(one.over for one in judged) == 0
    if told.failures == 0:  # else Redis may have admitted what nobody was told
        assert sum(one.wrong for one in judged) == 0


async def assail(plan: Assault) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.faults.tools.limiter_process", plan.to_json()),
        cwd=PROJECT,
        env=portal_environment(),
        stderr=subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            _, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, err.decode()


def summary(told: Told, judged: list[Judged], took: float) -> str:
    bounds = ", ".join(
        f"at most {max(one.most[name][0] for one in judged)} of {allowed} {name}"
        for name, (_, allowed) in judged[0].most.items()
    )
    return (
        f"{PROCESSES} processes, {told.decisions} decisions in {took:.0f} s ({told.decisions / took:.0f}/s),"
        f" {sum(map(len, told.admitted))} admitted on {len(judged)} subjects, {bounds};"
        f" {sum(one.over for one in judged)} over-admissions,"
        f" {told.failures} unanswered,"
        f" {sum(one.wrong for one in judged)} wrong of {sum(map(len, told.denied))} denials judged"
    )


class _Result(msgspec.Struct, rename="camel"):
    """What is judged of an answer in a batch."""

    code: str
    request_id: str
    degraded: bool
    key_id: str


class _Results(msgspec.Struct):
    results: list[_Result]


async def test_batches_over_http_admit_no_more_either(place: Place, portal: Served, report: Report) -> None:
    """Two keys of one account, a window for each and a quota for both, asked in batches of two server processes."""
    customer = await place.customer((LIMIT, WINDOW_MS), monthly_quota=QUOTA)
    made = await place.make_keys(customer, 2)
    checks = [{"key": made[number % 2].secret} for number in range(BATCH)]
    results: list[_Result] = []

    async def post() -> None:
        for _ in range(BATCHES // POSTERS + 1):  # each on a connection of its own, so that both processes get some
            headers = {"Authorization": f"Bearer {portal.token}"}
            async with httpx2.AsyncClient(base_url=portal.url, headers=headers) as http:
                answer = await http.post("/check/batch", json={"checks": checks}, timeout=60)
                results.extend(msgspec.json.decode(answer.content, type=_Results).results)

    await asyncio.gather(*[post() for _ in range(POSTERS)])
    admitted = [[decided_us(r.request_id) for r in results if r.code == "VALID" and r.key_id == m.key.id] for m in made]
    most = [most_in_window(instants, WINDOW_MS * 1000) for instants in admitted]
    total = sum(map(len, admitted))
    report.tell(
        "over-admission, HTTP batches",
        f"{len({node_of(r.request_id) for r in results})} processes, {len(results)} checks in batches of {BATCH},"
        f" {total} admitted, at most {max(most)} of {LIMIT} in any {WINDOW_MS} ms, quota {QUOTA}",
    )
    assert not any(result.degraded for result in results)
    assert {result.code for result in results} <= {"VALID", "RATE_LIMITED", "QUOTA_EXCEEDED"}
    assert max(most) == LIMIT
    assert total <= QUOTA
    assert total == QUOTA or not any(result.code == "QUOTA_EXCEEDED" for result in results)
    await place.await_stored(result.request_id for result in results if result.code == "VALID")


def test_the_oracle_finds_one_unit_too_many() -> None:
    window = WINDOWS[0]
    exact = [(number * 10, 1) for number in range(window.amount)]
    next_one = window.window_us
    assert Ledger([*exact, (next_one, 1)]).judge("sliding_window", []).over == 0
    assert Ledger([*exact, (next_one - 1, 1)]).judge("sliding_window", []).over == 1
    assert Ledger(exact).judge("sliding_window", [(next_one - 1, 1), (next_one, 1)]).wrong == 1
    full = [(0, BUCKET.capacity)]
    a_unit_later = -(-BUCKET.window_us // BUCKET.amount)
    assert Ledger([*full, (a_unit_later, 1)]).judge("token_bucket", []).over == 0
    assert Ledger([*full, (a_unit_later - 1, 1)]).judge("token_bucket", []).over > 0
    assert Ledger(full).judge("token_bucket", [(a_unit_later - 1, 1), (a_unit_later, 1)]).wrong == 1
    spent = [(PERIOD_US - 1, PERIOD_UNITS)]
    assert Ledger([*spent, (PERIOD_US, 1)]).judge("calendar", [(PERIOD_US - 1, 1)]).over == 0
    assert Ledger([*spent, (PERIOD_US - 2, 1)]).judge("calendar", []).over == 1
    assert Ledger(spent).judge("calendar", [(PERIOD_US - 1, 1), (PERIOD_US, 1)]).wrong == 1
