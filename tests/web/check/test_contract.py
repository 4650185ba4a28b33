"""POST /check and /check/http, as the contract says: statuses, bodies, headers, and what each mistake gets."""

import pytest

from portal.core.actor import Actor
from portal.keys.secrets import assemble_secret
from tests.web.check.conftest import MakeKey, Served

FIELDS = [
    "valid",
    "code",
    "requestId",
    "keyId",
    "accountId",
    "environment",
    "name",
    "scopes",
    "metadata",
    "degraded",
    "limits",
    "quota",
    "retryAfterMs",
]


@pytest.mark.fast
async def test_the_answer_has_the_contracts_fields_and_headers(served: Served, make_key: MakeKey, owner: Actor) -> None:
    made = await make_key(owner)
    response = await served.http.post("/check", json={"key": made.secret, "resource": "GET /v1/search"})
    body = response.json()
    assert response.status_code == 200
    assert [*body] == FIELDS
    assert body["limits"][0] == {"name": "burst", "limit": 10, "remaining": 9, "resetMs": 1000}
    assert body["quota"]["remaining"] == 9_999
    assert body["quota"]["resetAt"].endswith("-01T00:00:00Z")
    headers = response.headers
    assert headers["ratelimit-policy"] == '"burst";q=10;w=1, "sustained";q=100;w=60, "month";q=10000'
    assert headers["ratelimit"] == '"burst";r=9;t=1'
    assert (headers["x-ratelimit-limit"], headers["x-ratelimit-remaining"], headers["x-ratelimit-reset"]) == (
        "10",
        "9",
        "1",
    )
    assert "retry-after" not in headers
    assert "server" not in headers


async def test_overage_is_no_policy(served: Served, make_key: MakeKey, make_account: object) -> None:
    pro = await make_account(plan="pro")  # type: ignore[operator]  # the fixture is a function
    made = await make_key(pro)
    response = await served.http.post("/check", json={"key": made.secret})
    assert "month" not in response.headers["ratelimit-policy"]
    assert response.json()["quota"]["limit"] == 1_000_000


async def test_a_denial_is_200_on_check_and_429_on_check_http(served: Served, make_key: MakeKey, owner: Actor) -> None:
    made = await make_key(owner)
    for _ in range(10):
        assert (await served.http.post("/check", json={"key": made.secret})).json()["valid"]
    plain = await served.http.post("/check", json={"key": made.secret})
    assert (plain.status_code, plain.json()["code"]) == (200, "RATE_LIMITED")
    native = await served.http.post("/check/http", json={"key": made.secret})
    assert native.status_code == 429
    assert native.headers["content-type"] == "application/problem+json"
    assert native.json()["type"] == "https://iana.org/assignments/http-problem-types#quota-exceeded"
    assert native.json()["violated-policies"] == ["burst"]
    assert int(native.headers["retry-after"]) >= 1


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({"scopes": ["admin"]}, 403, "INSUFFICIENT_SCOPE"),
        ({"key": assemble_secret("pk", "live", "z" * 30)}, 401, "NOT_FOUND"),
        ({"key": "pk_live_" + "z" * 36}, 401, "NOT_FOUND"),
        ({}, 200, "VALID"),
    ],
)
async def test_native_statuses(
    served: Served, make_key: MakeKey, owner: Actor, fields: dict[str, object], status: int, code: str
) -> None:
    made = await make_key(owner)
    response = await served.http.post("/check/http", json={"key": made.secret, **fields})
    assert (response.status_code, response.json()["code"]) == (status, code)


@pytest.mark.parametrize(
    ("content", "status", "says"),
    [
        (b'{"key": ', 400, "not valid JSON"),
        (b'{"key": "k", "cost": NaN}', 400, "not valid JSON"),
        (b'{"key": "k", "colour": 1}', 422, "colour"),
        (b'{"key": "k", "request": {"method": "GET"}}', 422, "request"),
        (b'{"key": 5}', 422, "$.key"),
        (b'{"key": "k", "cost": -1}', 422, "$.cost"),
        (b'{"key": "k", "cost": 1000000000}', 422, "$.cost"),
        (b'{"key": "' + b"k" * 17 * 1024 + b'"}', 413, "at most"),
    ],
)
async def test_each_mistake_gets_its_status_and_a_document(
    served: Served, content: bytes, status: int, says: str
) -> None:
    for path in ("/check", "/check/http"):
        response = await served.http.post(path, content=content, headers={"Content-Type": "application/json"})
        assert response.status_code == status
        assert response.headers["content-type"] == "application/problem+json"
        document = response.json()
        assert document["status"] == status
        assert says in document["detail"]


async def test_a_wrong_content_type_is_415(served: Served) -> None:
    response = await served.http.post("/check", content=b"key=1", headers={"Content-Type": "text/plain"})
    assert (response.status_code, response.json()["status"]) == (415, 415)


@pytest.mark.parametrize("header", [None, "Bearer svc_wrong", "Basic abc", "Bearer"])
async def test_without_a_service_token_nothing_is_revealed(served: Served, header: str | None) -> None:
    headers = {"Authorization": header or ""}
    response = await served.http.post("/check", json={"key": "k"}, headers=headers)
    assert response.status_code == 401
    assert response.headers["www-authenticate"].startswith("Bearer")
    assert "portal token create" in response.json()["detail"]


async def test_another_method_is_not_allowed(served: Served) -> None:
    assert (await served.http.get("/check")).status_code == 405
    assert (await served.http.options("/check")).status_code == 405
