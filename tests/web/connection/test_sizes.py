"""Whatever comes is bounded before it is stored, and refused so that the answer arrives."""

import asyncio
import socket
from pathlib import Path

import pytest

from tests.web.connection.conftest import Served
from tests.web.connection.raw import connected

MIB = 1024 * 1024
SIZES = (1, 100, 4_000, 15_000, 17_000, 100_000, MIB, 10 * MIB, 100 * MIB)
MAX_GROWTH = 8 * MIB


def rss() -> int:
    pages = Path("/proc/self/statm").read_text().split()[1]
    return int(pages) * 4096


async def test_a_body_that_is_too_large_is_told_so_however_it_is_sent(served: Served) -> None:
    """Twenty of twenty: no answer is lost in a reset."""
    for number in range(20):
        path, size = [("/check/batch", 1_100_000), ("/graphql", 200_000), ("/check", 900_000)][number % 3]
        request = served.post(path, "{" + " " * size)
        async with connected(served.port) as wire:
            wire.send(request.encode())
            await wire.writer.drain()
            assert (await wire.answer()).status == (401 if path == "/graphql" else 413)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", ["target", "value", "name", "headers", "trailers", "blank lines", "chunk line"])
async def test_a_head_of_any_size_is_bounded_before_it_is_stored(served: Served, kind: str, size: int) -> None:
    piece = {"headers": b"a:b\r\n", "trailers": b"a:b\r\n", "blank lines": b"\r\n"}.get(kind, b"a")
    begin = {
        "target": b"GET /",
        "value": b"GET /nowhere HTTP/1.1\r\nHost: portal\r\nX: ",
        "name": b"GET /nowhere HTTP/1.1\r\nHost: portal\r\n",
        "headers": b"GET /nowhere HTTP/1.1\r\nHost: portal\r\n",
        "trailers": b"GET /livez HTTP/1.1\r\nHost: portal\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
        "blank lines": b"",
        "chunk line": b"GET /livez HTTP/1.1\r\nHost: portal\r\nTransfer-Encoding: chunked\r\n\r\n5;",
    }[kind]
    end = {
        "target": b" HTTP/1.1\r\nHost: portal\r\n\r\n",
        "name": b": a\r\n\r\n",
        "headers": b"\r\n",
        "trailers": b"\r\n",
        "blank lines": b"GET /livez HTTP/1.1\r\nHost: portal\r\n\r\n",
        "chunk line": b"\r\nabcde\r\n0\r\n\r\n",
    }.get(kind, b"\r\n\r\n")
    before = rss()
    block, count = piece * (64 * 1024 // len(piece)), size // (64 * 1024)
    async with connected(served.port) as wire:
        answering = asyncio.create_task(wire.answer())
        wire.send(begin)
        for _ in range(count):
            wire.send(block)
            await wire.writer.drain()
        wire.send(piece * (size % (64 * 1024) // len(piece) + 1) + end)
        answer = await answering
    assert answer.status in (200, 400, 401, 404, 414, 431)
    if size > 16 * 1024:
        assert answer.status >= 400 or kind in ("trailers", "chunk line")
    assert rss() - before < MAX_GROWTH + size // 8  # the client's own pieces are in this process too


async def test_a_trailer_is_no_header(served: Served) -> None:
    trailer = b"Authorization: Bearer %b\r\n"
    request = served.check().without(b"Authorization").chunked(trailers=trailer % served.token.encode())
    personal = served.post("/graphql", '{"query": "{ viewer { person { email } } }"}', has_token=False).chunked(
        trailers=trailer % served.personal.encode()
    )
    async with connected(served.port) as wire:
        wire.send(request.encode())
        assert (await wire.answer()).status == 401
        wire.send(personal.encode())
        assert b"@northwind.example" not in (await wire.answer()).body


@pytest.mark.parametrize("path", ["/check/batch", "/usage/events"])
async def test_a_large_body_is_not_stored_for_an_unknown_token(served: Served, path: str) -> None:
    media_type = "application/json" if path == "/check/batch" else "application/cloudevents-batch+json"
    request = served.post(path, "[" * 900_000, media_type).instead(b"Authorization: Bearer svc_nobody").encode()
    for data in (request, request[:20_000]):
        async with connected(served.port) as wire:
            wire.send(data)
            assert (await wire.answer()).status == 401


async def test_a_large_batch_of_a_token_that_is_not_in_memory_yet_is_served(served: Served) -> None:
    served.services.tokens._cached.clear()
    one = f'{{"key": "{served.secret}", "cost": 0}}'
    body = f'{{"checks": [{", ".join([one] * 900)}]}}'
    async with connected(served.port) as wire:
        data = served.post("/check/batch", body).encode()
        wire.send(data[:30_000])
        await asyncio.sleep(0.05)
        wire.send(data[30_000:])
        assert (await wire.answer()).body.count(b'"VALID"') == 900


async def test_a_body_byte_by_byte_takes_linear_time(served: Served) -> None:
    """Counted, not timed: each byte is appended to one buffer."""
    body = " " * 30_000 + f'{{"checks": [{{"key": "{served.secret}", "cost": 0}}]}}'
    async with connected(served.port) as wire:
        wire.writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        data = served.post("/check/batch", body).encode()
        wire.send(data[:-2_000])
        for index in range(len(data) - 2_000, len(data)):
            wire.send(data[index : index + 1])
            await wire.writer.drain()
        assert (await wire.answer()).status == 200
