"""POST /check/batch: each for itself in order, or all or none."""

from portal import keys
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
        ({"checks": [{**one, "explain": True}], "mode": "atomic"}, "do not take explain"),
    ):
        response = await served.http.post("/check/batch", json=body)
        assert response.status_code == 422
        assert says in response.json()["detail"]


async def test_a_thousand_checks_fit(served: Served, make_key: MakeKey, owner: Actor) -> None:
    made = await make_key(owner)
    results = await batch(served, [{"key": made.secret, "cost": 0, "resource": f"GET /{n}"} for n in range(1000)])
    assert len(results) == 1000


async def test_headers_tell_of_the_worst_item(served: Served, make_key: MakeKey, owner: Actor) -> None:
    """What can never pass, then the longest wait, then the least left; per item in the body."""
    own = [keys.KeyLimit("m", 10, 60_000)]
    first, second = await make_key(owner, limits=own), await make_key(owner, limits=own)
    look: dict[str, object] = {"key": second.secret, "cost": 0}
    nobody: dict[str, object] = {"key": "nobody"}

    async def headers(*checks: dict[str, object], mode: str = "independent") -> tuple[str, str, bool]:
        response = await served.http.post("/check/batch", json={"checks": checks, "mode": mode})
        described = response.headers["ratelimit"].partition(";t")[0]
        return *described.split(";r="), "retry-after" in response.headers  # type: ignore[return-value]  # two parts

    assert await headers(look, {"key": first.secret, "cost": 9}, nobody) == ('"own-m"', "1", False)
    assert await headers(nobody, look) == ('"month"', "9991", False)
    assert await headers(look, {"key": first.secret, "cost": 5}, nobody) == ('"own-m"', "1", True)
    never = {"key": second.secret, "cost": 11}
    assert (await headers(look, never, {"key": first.secret, "cost": 5}))[1:] == ("10", False)
    assert await headers(look, {"key": second.secret, "cost": 6}, {"key": second.secret, "cost": 6}) == (
        *('"own-m"', "4"),
        True,
    )
    assert await headers(look, {"key": second.secret, "cost": 6}, mode="atomic") == ('"own-m"', "4", True)
    for mode in ("independent", "atomic"):
        response = await served.http.post("/check/batch", json={"checks": [nobody], "mode": mode})
        assert not [name for name in response.headers if "ratelimit" in name]


async def test_an_id_of_another_check_is_that_items_error(served: Served, make_key: MakeKey, owner: Actor) -> None:
    made = await make_key(owner)
    known: dict[str, object] = {"key": made.secret, "id": "a"}
    other: dict[str, object] = {"key": made.secret, "id": "a", "cost": 2}
    results = await batch(served, [known, other, {"key": made.secret, "cost": 3}, known, {**known, "id": "b"}])
    assert [result.get("valid") for result in results] == [True, None, True, True, True]
    assert [result.get("replayed") for result in results] == [None, None, None, True, None]
    assert (results[1]["status"], results[1]["type"]) == (409, "urn:portal:problem:id-reused")
    assert results[4]["quota"]["used"] == 5  # type: ignore[index]  # JSON
    single = await served.http.post("/check", json=other)
    assert (single.status_code, single.json()) == (409, results[1])
    assert single.headers["content-type"] == "application/problem+json"
    native = await served.http.post("/check/http", json=known)
    assert (native.status_code, native.json()["replayed"]) == (200, True)


async def test_fifty_of_one_id_are_one_check(served: Served, make_key: MakeKey, owner: Actor) -> None:
    made = await make_key(owner)
    results = await batch(served, [{"key": made.secret, "id": "a", "cost": 7}] * 50)
    assert len({result["requestId"] for result in results}) == 1
    assert {result["quota"]["used"] for result in results} == {7}  # type: ignore[index]  # JSON
    assert sum("replayed" not in result for result in results) == 1


async def test_an_id_stands_for_its_whole_atomic_batch(served: Served, make_key: MakeKey, owner: Actor) -> None:
    first, second = await make_key(owner), await make_key(owner)
    checks: list[dict[str, object]] = [
        {"key": first.secret, "id": "a", "cost": 2},
        {"key": second.secret, "cost": 3},
        {"key": second.secret, "id": "b"},
    ]
    admitted = await batch(served, checks, mode="atomic")
    assert [result["valid"] for result in admitted] == [True] * 3
    again = await batch(served, checks, mode="atomic")
    assert again == [{**result, "replayed": True} for result in admitted]
    others: list[list[dict[str, object]]] = [
        checks[:2],
        [*checks, checks[1]],
        [checks[0], checks[2], checks[1]],
        [{**checks[0], "cost": 3}, *checks[1:]],
        [checks[0], {**checks[1], "resource": "GET /a"}, checks[2]],
        [{"key": second.secret, "id": "b"}],
    ]
    for other in others:
        response = await served.http.post("/check/batch", json={"checks": other, "mode": "atomic"})
        assert (response.status_code, response.json()["code"]) == (409, "id-reused")
    single = await served.http.post("/check", json=checks[0])
    assert single.status_code == 409
    looked = await batch(served, [{"key": first.secret, "cost": 0}])
    assert looked[0]["quota"]["used"] == 6  # type: ignore[index]  # JSON


async def test_a_refused_atomic_batch_may_be_sent_again(served: Served, make_key: MakeKey, owner: Actor) -> None:
    """Every item names what refused them all."""
    made = await make_key(owner)
    checks: list[dict[str, object]] = [{"key": made.secret, "id": str(n), "cost": 6} for n in range(2)]
    for _ in range(2):
        refused = await batch(served, checks, mode="atomic")
        assert [result["violated-policies"] for result in refused] == [["burst"]] * 2
        assert [result["retryAfterMs"] for result in refused] == [None] * 2
        assert not [result for result in refused if "replayed" in result]
    assert [result["valid"] for result in await batch(served, checks[:1], mode="atomic")] == [True]
