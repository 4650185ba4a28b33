"""GraphQL over HTTP: who may, what is taken, which status answers, and the public audits."""

import asyncio
import json
import os
import shutil
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import uvicorn
from starlette.applications import Starlette

from portal.core.database import Database
from portal.core.settings import Settings
from tests.web.graphql_client import ADDRESS, Visitor, client_of, graphql_app, new_visitor

AUDIT = Path(__file__).parents[1] / "graphql_audit"
NODE = shutil.which("node")
RESPONSE_JSON = "application/graphql-response+json"
VIEWER = "{ viewer { account { id } } }"
CREATE = 'mutation { createKey(input: {name: "A"}) { __typename ... on CreatedKey { secret } } }'


@pytest.fixture(scope="module")
def app(settings: Settings, database: Database) -> Starlette:
    return graphql_app(settings, database)


@pytest.fixture
async def client(app: Starlette) -> AsyncIterator[httpx2.AsyncClient]:
    async with client_of(app) as client:
        yield client


@pytest.fixture(scope="module")
async def visitor(database: Database) -> Visitor:
    return await new_visitor(database)


def bearer(visitor: Visitor, **headers: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {visitor.token}"} | headers


def cookie(visitor: Visitor, **headers: str) -> dict[str, str]:
    return {"Cookie": f"session={visitor.cookie}"} | {name.replace("_", "-"): text for name, text in headers.items()}


def codes(response: httpx2.Response) -> list[Any]:
    return [error["extensions"]["code"] for error in response.json()["errors"]]


async def test_a_personal_token_opens_the_account(client: httpx2.AsyncClient, visitor: Visitor) -> None:
    response = await client.post("/graphql", json={"query": VIEWER}, headers=bearer(visitor))
    assert response.status_code == 200
    assert response.json()["data"] == {"viewer": {"account": {"id": visitor.actor.account_id}}}
    assert response.headers["Content-Type"] == "application/json; charset=utf-8"
    assert response.headers["Cache-Control"] == "no-store"
    assert "Accept" in response.headers["Vary"]


@pytest.mark.parametrize("header", ["Bearer pat_wrong", "Bearer", "Basic YTpi", "Bearer " + "x" * 5000, "pat_wrong"])
async def test_a_wrong_token_is_refused(client: httpx2.AsyncClient, header: str) -> None:
    response = await client.post("/graphql", json={"query": "{ __typename }"}, headers={"Authorization": header})
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"].startswith("Bearer")
    assert codes(response) == ["UNAUTHENTICATED"]


async def test_a_wrong_token_does_not_fall_back_to_the_cookie(client: httpx2.AsyncClient, visitor: Visitor) -> None:
    headers = cookie(visitor, Sec_Fetch_Site="same-origin", Authorization="Bearer pat_wrong")
    assert (await client.post("/graphql", json={"query": VIEWER}, headers=headers)).status_code == 401


@pytest.mark.parametrize(("accept", "status"), [(RESPONSE_JSON, 401), ("application/json", 200)])
async def test_an_anonymous_caller_is_asked_to_sign_in(client: httpx2.AsyncClient, accept: str, status: int) -> None:
    response = await client.post("/graphql", json={"query": VIEWER}, headers={"Accept": accept})
    assert response.status_code == status
    assert response.json()["data"] is None
    assert codes(response) == ["UNAUTHENTICATED"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec_Fetch_Site": "same-origin"}, 200),
        ({"Sec_Fetch_Site": "none"}, 200),
        ({"Origin": ADDRESS}, 200),
        ({"Sec_Fetch_Site": "cross-site"}, 403),
        ({"Sec_Fetch_Site": "same-site", "Origin": ADDRESS}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({}, 403),
    ],
)
async def test_a_cookie_works_from_our_own_pages_only(
    client: httpx2.AsyncClient, visitor: Visitor, headers: dict[str, str], status: int
) -> None:
    response = await client.post("/graphql", json={"query": VIEWER}, headers=cookie(visitor, **headers))
    assert response.status_code == status
    assert ("data" in response.json()) == (status == 200)


async def test_a_query_may_come_by_get(client: httpx2.AsyncClient, visitor: Visitor) -> None:
    asked = {
        "query": "query A($id: ID!) { node(id: $id) { id } } query B { __typename }",
        "variables": json.dumps({"id": visitor.actor.account_id}),
        "operationName": "A",
    }
    response = await client.get("/graphql", params=asked, headers=cookie(visitor))
    assert response.json()["data"] == {"node": {"id": visitor.actor.account_id}}


@pytest.mark.parametrize("accept", [RESPONSE_JSON, "application/json"])
async def test_a_mutation_never_comes_by_get(client: httpx2.AsyncClient, visitor: Visitor, accept: str) -> None:
    for asked in (
        {"query": CREATE},
        {"query": f"query A {{ __typename }} {CREATE[:8]} B {CREATE[8:]}", "operationName": "B"},
    ):
        response = await client.get("/graphql", params=asked, headers=bearer(visitor, Accept=accept))
        assert (response.status_code, response.headers["Allow"]) == (405, "POST")
        assert codes(response) == ["MUTATION_BY_GET"]
    counted = await client.post("/graphql", json={"query": "{ keys { totalCount } }"}, headers=bearer(visitor))
    assert counted.json()["data"]["keys"]["totalCount"] == 0


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        ("application/json", b"{", 400),
        ("application/json", b"", 400),
        ("application/json", b"[]", 400),
        ("application/json", b'[{"query": "{ __typename }"}]', 400),
        ("application/json", b'"text"', 400),
        ("application/json", b'{"query": "\xff"}', 400),
        ("application/json", b'{"query": NaN}', 400),
        ("application/json", b"[" * 50_000, 400),
        ("application/json", b'{"query": ""}', 400),
        ("application/json", b'{"query": "{ __typename }", "variables": []}', 400),
        ("application/json", b'{"query": "' + b"x" * 100_001 + b'"}', 413),
        ("application/json; charset=latin-1", b'{"query": "{ __typename }"}', 415),
        ("text/plain", b'{"query": "{ __typename }"}', 415),
        ("application/x-www-form-urlencoded", b"query=%7B__typename%7D", 415),
        ("multipart/form-data; boundary=x", b"--x--", 415),
        ("application/graphql", b"{ __typename }", 415),
    ],
)
async def test_what_is_no_request_is_refused(
    client: httpx2.AsyncClient, content_type: str, body: bytes, status: int
) -> None:
    response = await client.post("/graphql", content=body, headers={"Content-Type": content_type})
    assert response.status_code == status
    assert "data" not in response.json()
    assert response.json()["errors"][0]["message"]


@pytest.mark.parametrize(
    ("accept", "answered"),
    [
        (None, "application/json"),
        ("*/*", "application/json"),
        ("application/*", "application/json"),
        (RESPONSE_JSON, RESPONSE_JSON),
        (f"application/json, {RESPONSE_JSON}", RESPONSE_JSON),
        (f"application/json, {RESPONSE_JSON};q=0.5", "application/json"),
        (f"{RESPONSE_JSON};q=0, */*;q=0.1", "application/json"),
        (f"text/html, {RESPONSE_JSON}; charset=utf-8; q=0.9", RESPONSE_JSON),
    ],
)
async def test_the_answer_has_the_type_that_is_accepted(
    client: httpx2.AsyncClient, accept: str | None, answered: str
) -> None:
    request = client.build_request("POST", "/graphql", json={"query": "{ __typename }"})
    del request.headers["Accept"]
    if accept:
        request.headers["Accept"] = accept
    response = await client.send(request)
    assert response.status_code == 200
    assert response.headers["Content-Type"].split(";")[0] == answered


@pytest.mark.parametrize("accept", ["text/html", "image/*", "application/json;q=0", "application/json;q=x"])
async def test_a_client_that_accepts_neither_type_gets_a_406(client: httpx2.AsyncClient, accept: str) -> None:
    response = await client.post("/graphql", json={"query": "{ __typename }"}, headers={"Accept": accept})
    assert response.status_code == 406


@pytest.mark.parametrize("document", ["{", "{ nothing }", "query Q($id: ID!) { __typename }", "{ " + "a " * 1001 + "}"])
@pytest.mark.parametrize(("accept", "status"), [(RESPONSE_JSON, 400), ("application/json", 200)])
async def test_a_document_that_cannot_run_has_no_data(
    client: httpx2.AsyncClient, visitor: Visitor, document: str, accept: str, status: int
) -> None:
    response = await client.post("/graphql", json={"query": document}, headers=bearer(visitor, Accept=accept))
    assert response.status_code == status
    assert "data" not in response.json()


async def test_a_key_takes_the_prefix_of_the_settings(settings: Settings, database: Database, visitor: Visitor) -> None:
    app = graphql_app(settings.model_copy(update={"key_prefix": "acme"}), database)
    async with client_of(app) as client:
        response = await client.post("/graphql", json={"query": CREATE}, headers=bearer(await new_visitor(database)))
    assert response.json()["data"]["createKey"]["secret"].startswith("acme_live_")


@pytest.mark.parametrize("accept", [RESPONSE_JSON, "application/json"])
async def test_an_unexpected_error_names_the_request(
    client: httpx2.AsyncClient, visitor: Visitor, monkeypatch: pytest.MonkeyPatch, accept: str
) -> None:
    async def broken(*_: Any) -> None:
        raise RuntimeError("inner workings")

    monkeypatch.setattr("portal.keys.count_keys", broken)
    asked = {"query": "{ keys { totalCount } }"}
    response = await client.post("/graphql", json=asked, headers=bearer(visitor, Accept=accept))
    assert response.headers["X-Request-Id"] in response.json()["errors"][0]["message"]
    assert codes(response) == ["INTERNAL"]
    assert "inner" not in response.text


async def test_a_database_that_is_away_is_a_503(settings: Settings, visitor: Visitor) -> None:
    away = Database("postgresql+asyncpg://nobody@127.0.0.1:9/none")
    try:
        async with client_of(graphql_app(settings, away)) as client:
            response = await client.post("/graphql", json={"query": VIEWER}, headers=bearer(visitor))
    finally:
        await away.close()
    assert response.status_code == 503
    assert codes(response) == ["UNAVAILABLE"]


@pytest.mark.skipif(NODE is None and not os.environ.get("CI"), reason="node runs the audits")
async def test_the_public_audits_report_neither_failure_nor_warning(app: Starlette, visitor: Visitor) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/graphql"
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off"))
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            if not (AUDIT / "node_modules" / "graphql-http").exists():
                await run("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
            results = json.loads(await run("node", "audit.mjs", url, visitor.token))
        finally:
            server.should_exit = True
            await serving
    assert len(results) >= 60
    assert [result for result in results if result["status"] != "ok"] == []


async def run(*command: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *command, cwd=AUDIT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await asyncio.wait_for(process.communicate(), 120)
    assert process.returncode == 0, err.decode()
    return out.decode()


@pytest.mark.parametrize("levels", [60, 200, 201, 900, 5_000])
async def test_deep_variables_are_too_large_at_any_depth_of_the_stack(
    client: httpx2.AsyncClient, visitor: Visitor, levels: int
) -> None:
    body = '{"query": "{ __typename }", "variables": {"unused": %s}}' % ("[" * levels + "]" * levels)
    headers = bearer(visitor) | {"Content-Type": "application/json"}
    response = await client.post("/graphql", content=body.encode(), headers=headers)
    assert codes(response) == ["TOO_LARGE"]
