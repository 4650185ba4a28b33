"""POST /check/batch: each for itself in order, or all or none."""

from portal.core.actor import Actor
from tests.web.check.conftest import MakeKey, Served


async def batch(served: Served, checks: list[dict[str, object]], **fields: object) -> list[dict[str, object]]:
    response = await served.http.post("/check/batch", json={"checks": checks, **fields})
    assert response.status_code == 200
    results: list[dict[str, object]] = response.json()["results"]
    return results


async def test_independent_checks_are_answered_in_order(served: Served, make_key: MakeKey, owner: Actor) -> None:
    made = await make_key(owner)
    one: dict[str, object] = {"key": made.secret}
    results = await batch(served, [one, {"key": "nonsense"}, {"key": made.secret, "scopes": ["x"]}, *[one] * 10])
    codes = [str(result["code"]) for result in results]
    assert codes[1:3] == ["NOT_FOUND", "INSUFFICIENT_SCOPE"]
    assert sorted([codes[0], *codes[3:]]) == ["RATE_LIMITED", *["VALID"] * 10]


async def test_an_atomic_batch_is_admitted_whole_or_not_at_all(served: Served, make_key: MakeKey, owner: Actor) -> None:
    first, second = await make_key(owner), await make_key(owner)
    six: dict[str, object] = {"key": first.secret, "cost": 6}
    five: dict[str, object] = {"key": first.secret, "cost": 5}
    other: dict[str, object] = {"key": second.secret, "cost": 9}
    refused = await batch(served, [six, five, other], mode="atomic")
    assert [result["code"] for result in refused] == ["RATE_LIMITED"] * 3
    assert not any(result["valid"] for result in refused)
    admitted = await batch(served, [six, {"key": first.secret, "cost": 4}, other], mode="atomic")
    assert [result["valid"] for result in admitted] == [True, True, True]
    assert [result["limits"][0]["remaining"] for result in admitted] == [0, 0, 1]  # type: ignore[index]  # JSON
    assert admitted[0]["quota"]["used"] == 19  # type: ignore[index]  # JSON
    assert len({result["requestId"] for result in admitted}) == 3


async def test_a_denied_key_denies_the_atomic_batch_and_consumes_nothing(
    served: Served, make_key: MakeKey, owner: Actor
) -> None:
    made = await make_key(owner)
    checks: list[dict[str, object]] = [{"key": made.secret}, {"key": made.secret, "scopes": ["admin"]}]
    assert {result["code"] for result in await batch(served, checks, mode="atomic")} == {"INSUFFICIENT_SCOPE"}
    looked = await batch(served, [{"key": made.secret, "cost": 0}])
    assert looked[0]["limits"][0]["remaining"] == 10  # type: ignore[index]  # JSON


async def test_what_a_batch_may_not_be(served: Served, make_key: MakeKey, owner: Actor, stranger: Actor) -> None:
    mine, theirs = await make_key(owner), await make_key(stranger)
    one = {"key": mine.secret}
    for body, says in (
        ({"checks": []}, "$.checks"),
        ({"checks": [one] * 1001}, "$.checks"),
        ({"checks": [one] * 101, "mode": "atomic"}, "at most 100"),
        ({"checks": [one, {"key": mine.secret, "cost": -1}]}, "$.checks[1].cost"),
        ({"checks": [one, {"key": theirs.secret}], "mode": "atomic"}, "one account"),
        ({"checks": [{**one, "id": "a"}], "mode": "atomic"}, "neither id nor explain"),
    ):
        response = await served.http.post("/check/batch", json=body)
        assert response.status_code == 422
        assert says in response.json()["detail"]


async def test_a_thousand_checks_fit(served: Served, make_key: MakeKey, owner: Actor) -> None:
    made = await make_key(owner)
    results = await batch(served, [{"key": made.secret, "cost": 0, "resource": f"GET /{n}"} for n in range(1000)])
    assert len(results) == 1000
