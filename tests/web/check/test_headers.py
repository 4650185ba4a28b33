"""The rate-limit headers, read back by a library for structured fields."""

from typing import Any

import http_sf
from httpx2 import Response

from portal.core.actor import Actor
from tests.web.check.conftest import MakeKey, Served


def parsed(response: Response, name: str) -> list[tuple[str, dict[str, Any]]]:
    """The items of a list field with their parameters."""
    return [*http_sf.parse(response.headers[name].encode(), tltype="list")]  # type: ignore[misc]  # a list of items


async def test_policies_and_the_tightest_limit_are_structured_fields(
    served: Served, make_key: MakeKey, owner: Actor
) -> None:
    made = await make_key(owner)
    response = await served.http.post("/check", json={"key": made.secret})
    assert parsed(response, "ratelimit-policy") == [
        ("burst", {"q": 10, "w": 1}),
        ("sustained", {"q": 100, "w": 60}),
        ("month", {"q": 10_000}),
    ]
    assert parsed(response, "ratelimit") == [("burst", {"r": 9, "t": 1})]


async def test_retry_after_is_never_earlier_than_the_reset(served: Served, make_key: MakeKey, owner: Actor) -> None:
    made = await make_key(owner)
    await served.http.post("/check", json={"key": made.secret, "cost": 6})
    denied = await served.http.post("/check", json={"key": made.secret, "cost": 8})
    assert denied.json()["code"] == "RATE_LIMITED"
    ((_, parameters),) = parsed(denied, "ratelimit")
    assert int(denied.headers["retry-after"]) >= parameters["t"]
    assert int(denied.headers["retry-after"]) * 1000 >= denied.json()["retryAfterMs"]


async def test_what_can_never_pass_has_no_retry_after(served: Served, make_key: MakeKey, owner: Actor) -> None:
    made = await make_key(owner)
    response = await served.http.post("/check/http", json={"key": made.secret, "cost": 11})
    assert response.status_code == 429
    assert "retry-after" not in response.headers
    assert response.json()["retryAfterMs"] is None


async def test_a_denial_before_the_limits_shows_their_state(served: Served, make_key: MakeKey, owner: Actor) -> None:
    made = await make_key(owner)
    response = await served.http.post("/check/http", json={"key": made.secret, "scopes": ["admin"], "cost": 3})
    assert response.status_code == 403
    (tightest,) = parsed(response, "ratelimit")
    assert tightest[1]["r"] == 10
    assert [limit["remaining"] for limit in response.json()["limits"]] == [10, 100]
    assert "retry-after" not in response.headers
    assert response.json()["retryAfterMs"] is None


async def test_an_unknown_key_has_no_limits(served: Served) -> None:
    response = await served.http.post("/check", json={"key": "pk_live_nobody"})
    assert not [name for name in response.headers if "ratelimit" in name]
