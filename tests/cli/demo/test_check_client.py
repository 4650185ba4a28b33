"""The client of POST /check that tests, benches and demo traffic use."""

import asyncio

import pytest

from portal.cli.demo.check_client import CheckClient
from tests.cli.demo_portal import DemoPortal


async def test_one_connection_serves_many_requests(demo_portal: DemoPortal) -> None:
    facts = demo_portal.facts
    async with CheckClient(demo_portal.url, facts["service_token"]) as client:
        answers = await asyncio.gather(*[client.check({"key": facts["keys"]["pro"], "cost": 0}) for _ in range(20)])
    assert {(answer.status, answer.document["code"]) for answer in answers} == {(200, "VALID")}
    assert answers[0].headers["content-type"] == "application/json"
    assert "ratelimit-policy" in answers[0].headers
    assert len({answer.document["requestId"] for answer in answers}) == 20


async def test_problems_are_answers(demo_portal: DemoPortal) -> None:
    async with CheckClient(demo_portal.url, "svc_wrong") as client:
        answer = await client.check({"key": "x"})
        assert (answer.status, answer.document["status"]) == (401, 401)
    async with CheckClient(demo_portal.url, demo_portal.facts["service_token"], path="/check/http") as client:
        assert (await client.check({"key": "pk_live_mistyped"})).status == 401
        assert (await client.check({"kay": "x"})).status in {400, 422}


async def test_after_a_close_the_next_request_opens_a_connection(demo_portal: DemoPortal) -> None:
    client = CheckClient(demo_portal.url, demo_portal.facts["service_token"])
    for _ in range(2):
        assert (await client.check({"key": demo_portal.facts["keys"]["free"], "cost": 0})).status == 200
        client.close()


async def test_nobody_there_is_an_os_error() -> None:
    async with CheckClient("http://127.0.0.1:9", "") as client:
        with pytest.raises(OSError, match="Connect"):
            await client.check({})


def test_only_plain_http_is_spoken() -> None:
    with pytest.raises(ValueError, match="is not an http"):
        CheckClient("https://127.0.0.1", "")
