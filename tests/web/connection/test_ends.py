"""Every connection ends, and what was answered before its end arrives."""

import asyncio

import pytest
from structlog.testing import capture_logs

from tests.web.connection.conftest import Served
from tests.web.connection.raw import Raw, connected
from web.connection import protocol, watch

HOST = b"Host: portal"
GRAPHQL = b"POST /graphql HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"


async def test_whoever_leaves_within_a_body_leaves_no_traceback(served: Served) -> None:
    requests = [
        served.check().chunked(b"fff\r\n{"),
        served.check(),
        served.post("/graphql", '{"query": "{ viewer { role } }"}', has_token=False),
        served.post("/sign-in", "email=a", "application/x-www-form-urlencoded", has_token=False).plus(
            b"Sec-Fetch-Site: same-origin"
        ),
        served.post("/usage/events", "{}", "application/cloudevents+json"),
    ]
    with capture_logs() as logs:
        for request in requests:
            for cut in (1, 3):
                async with connected(served.port) as wire:
                    wire.send(request.encode()[:-cut])
                    await asyncio.sleep(0.05)
        await asyncio.sleep(0.2)
    assert [line for line in logs if line["log_level"] in ("error", "critical")] == []


async def test_a_post_that_asks_for_a_websocket_is_answered(served: Served) -> None:
    for body in ("", "{}", '{"query": "{ __typename }"}'):
        request = served.post("/graphql", body, has_token=False).plus(b"Connection: Upgrade", b"Upgrade: websocket")
        async with connected(served.port) as wire:
            wire.send(request.encode())
            assert (await wire.answer()).status in (200, 400)


async def test_http_1_0_is_served_and_ends(served: Served) -> None:
    for line in (b"GET /livez HTTP/1.0", b"GET /static/app.css HTTP/1.0"):
        async with connected(served.port) as wire:
            wire.send(Raw(line).encode())
            answer = await wire.answer()
            assert (answer.status, answer.headers["connection"]) == (200, "close")
            assert "transfer-encoding" not in answer.headers
            assert await wire.is_ended()


async def test_other_spellings_of_a_file_are_no_address(served: Served) -> None:
    for path in (b"/static/app.css/", b"/static//app.css", b"/static/./app.css", b"/static/x/../app.css", b"/static/"):
        async with connected(served.port) as wire:
            wire.send(Raw(b"GET %b HTTP/1.1" % path, (HOST,)).encode())
            assert (await wire.answer()).status == 404, path


@pytest.mark.parametrize(
    "path", ["/check/", "/Check", "/checks", "/graphql/", "/usage/events/", "/usage/event", "/nowhere"]
)
@pytest.mark.parametrize("method", [b"POST", b"PUT", b"DELETE", b"FOO"])
async def test_an_address_that_there_is_not_is_404_for_every_method(served: Served, path: str, method: bytes) -> None:
    request = served.post(path, "{}").with_line(b"POST", method)
    async with connected(served.port) as wire:
        wire.send(request.encode())
        answer = await wire.answer()
        assert (answer.status, answer.headers["content-type"]) == (404, "application/problem+json")


async def test_a_client_that_ends_its_half_gets_the_answers_of_every_route(served: Served) -> None:
    requests = [
        served.check().encode(),
        Raw(b"GET /livez HTTP/1.1", (HOST,)).encode(),
        served.post("/graphql", '{"query": "{ __typename }"}', has_token=False).encode(),
        served.check().encode(),
    ]
    async with connected(served.port) as wire:
        wire.send(b"".join(requests))
        wire.writer.write_eof()
        assert [(await wire.answer()).status for _ in requests] == [200] * 4
        assert await wire.is_ended()


async def test_requests_of_all_routes_in_one_piece_are_answered_in_order(served: Served) -> None:
    live, graphql = (
        Raw(b"GET /livez HTTP/1.1", (HOST,)),
        served.post("/graphql", '{"query": "{ __typename }"}', has_token=False),
    )
    order = [served.check(), live, graphql.chunked(), served.check().chunked(), served.check(), graphql, live] * 20
    async with connected(served.port) as wire:
        wire.send(b"".join(request.encode() for request in order))
        bodies = [(await wire.answer()).body for _ in order]
    for request, body in zip(order, bodies, strict=True):
        expected = b'"VALID"' if b"/check" in request.line else b"ok" if b"livez" in request.line else b"__typename"
        assert expected in body


@pytest.mark.parametrize(
    ("state", "data", "status"),
    [
        ("HEAD_SECONDS", b"\r\n", 408),
        ("HEAD_SECONDS", b"GET /", 408),
        ("HEAD_SECONDS", b"POST /check HTTP/1.1\r\n", 408),
        ("HEAD_SECONDS", b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n\r\n", 408),
        ("BODY_SECONDS", GRAPHQL + b"Content-Length: 9\r\n\r\n{", 408),
        ("BODY_SECONDS", b"POST /check/batch HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n{", 408),
        ("BODY_SECONDS", GRAPHQL + b"Transfer-Encoding: chunked\r\n\r\n5\r\na", 408),
        ("IDLE_SECONDS", b"", None),
        ("IDLE_SECONDS", b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n", None),
    ],
)  # fmt: skip
async def test_whatever_is_not_finished_ends(
    served: Served, monkeypatch: pytest.MonkeyPatch, state: str, data: bytes, status: int | None
) -> None:
    monkeypatch.setattr(watch, "LOOK_SECONDS", 0.1)
    monkeypatch.setattr(protocol, state, 0.3)
    async with connected(served.port) as wire:
        wire.send(data)
        if b"/livez" in data:
            assert (await wire.answer()).status == 200
        if status is not None:
            assert (await wire.answer()).status == status
        assert await wire.is_ended()


async def test_answers_that_nobody_reads_end_in_a_reset(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "LOOK_SECONDS", 0.1)
    monkeypatch.setattr(watch, "WRITE_SECONDS", 0.5)
    before = len(served.services.budget)
    async with connected(served.port, limit=1024) as wire:
        wire.writer.transport.pause_reading()  # type: ignore[attr-defined]  # it reads too
        wire.send(Raw(b"GET /static/app.css HTTP/1.1", (HOST,)).encode() * 400)
        await asyncio.sleep(0.3)
        async with asyncio.timeout(20):
            while len(served.services.budget) > before:  # noqa: ASYNC110  # nobody announces it
                await asyncio.sleep(0.05)
