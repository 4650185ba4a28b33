"""HTTP/1.1 as clients and attackers speak it, over raw sockets to the running server; whoever answers behind it."""

import asyncio
import json
import socket

import pytest

from portal.core.actor import Actor
from tests.web.check.conftest import MakeKey, Served
from tests.web.check.test_protocol import bodies, exchange

PATHS = ("/check", "/check/http", "/check/batch", "/check/settle")
TIMEOUT_SECONDS = 25.0


def parsed(received: bytes) -> list[tuple[int, dict[str, str], bytes]]:
    """Status, headers and body of each answer in a stream of them; interim ones too."""
    found = []
    while received:
        head, _, received = received.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        assert first.startswith("HTTP/1.1 "), first
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        length = int(headers.get("content-length", 0))
        found.append((int(first.split()[1]), headers, received[:length]))
        received = received[length:]
    return found


def statuses(received: bytes) -> list[int]:
    return [status for status, _, _ in parsed(received)]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"])
async def test_other_methods_learn_which_one_is_allowed(served: Served, path: str, method: str) -> None:
    request = f"{method} {path} HTTP/1.1\r\nHost: portal\r\nContent-Length: 0\r\n\r\n".encode()
    after = b"GET /livez HTTP/1.1\r\nHost: portal\r\n\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    ((status, headers, _),) = parsed(head)
    assert (status, headers["allow"]) == (405, "POST")
    body = b"" if method == "HEAD" else await reader.readexactly(int(headers["content-length"]))
    assert (not body) == (method == "HEAD")
    writer.write(after)
    assert b"200 OK" in await reader.readuntil(b"ok\n")
    writer.close()


async def test_mixed_routes_in_one_piece_are_answered_in_their_order(
    served: Served, make_key: MakeKey, owner: Actor
) -> None:
    made = await make_key(owner)
    looked = json.dumps({"key": made.secret, "cost": 0}).encode()
    unknown = json.dumps({"key": "nobody's"}).encode()
    batch = json.dumps({"checks": [{"key": made.secret, "cost": 0}] * 3}).encode()
    requests = [
        served.raw(looked),
        served.raw(unknown, path="/check/http"),
        served.raw(batch, path="/check/batch"),
        served.raw(b'{"requestId": "a"}', path="/check/settle"),
        b"GET /livez HTTP/1.1\r\nHost: portal\r\n\r\n",
        served.raw(looked),
        b"GET /check HTTP/1.1\r\nHost: portal\r\n\r\n",
        b"GET /nowhere HTTP/1.1\r\nHost: portal\r\nConnection: close\r\n\r\n",
    ]
    assert statuses(await exchange(served, b"".join(requests))) == [200, 401, 200, 422, 200, 200, 405, 404]


@pytest.mark.parametrize(("path", "most"), [("/check", 16 * 1024), ("/check/batch", 1024 * 1024)])
async def test_a_chunked_body_has_the_same_limit(served: Served, path: str, most: int) -> None:
    head = served.raw(b"", path=path).replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
    chunk = b"a" * 1024
    received = await exchange(served, head + b"%x\r\n%s\r\n" % (len(chunk), chunk) * (most // len(chunk) + 1))
    assert statuses(received)[0] == 413


async def test_a_body_that_is_announced_too_large_is_refused_before_it_is_sent(served: Served) -> None:
    head = served.raw(b"").replace(b"Content-Length: 0", b"Content-Length: 999999")
    for more in (b"", b"Expect: 100-continue\r\n"):
        received = await exchange(served, head[:-2] + more + b"\r\n")
        assert statuses(received)[0] == 413
        assert b"100 Continue" not in received


async def test_expect_is_answered_once_and_something_else_is_not_expected(
    served: Served, make_key: MakeKey, owner: Actor
) -> None:
    made = await make_key(owner)
    request = served.raw(json.dumps({"key": made.secret, "cost": 0}).encode(), extra="Expect: 100-continue\r\n")
    assert statuses(await exchange(served, request + request)) in ([100, 200, 100, 200], [200, 200], [100, 200, 200])


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"POST /check HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        b"POST /check HTTP/1.1\r\nHost: a\r\nContent-Length: +2\r\n\r\n{}",
        b"POST /check HTTP/1.1\r\nHost: a\r\nContent-Length: 2, 3\r\n\r\n{}",
        b"POST /check HTTP/1.1\r\nHost: a\r\nContent-Length: 0x2\r\n\r\n{}",
        b"POST /check HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /check HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
        b"POST /check HTTP/1.1\r\nHost: a\r\nContent-Length : 2\r\n\r\n{}",
        b"POST /check HTTP/1.1\r\nHost: a\r\nX: a\r\n folded\r\nContent-Length: 2\r\n\r\n{}",
        b"POST /check HTTP/1.1\r\nHost: a\r\nX: a\x00b\r\nContent-Length: 2\r\n\r\n{}",
        b"POST /check HTTP/1.1\r\nHost: a\r\n: none\r\nContent-Length: 2\r\n\r\n{}",
        b"POST /check HTTP/9.9\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
    ids=range(12),
)
async def test_what_is_no_http_is_400_and_the_rest_of_the_stream_is_not_believed(
    served: Served, request_bytes: bytes
) -> None:
    smuggled = b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n"
    received = await exchange(served, request_bytes + smuggled)
    assert statuses(received)[:1] == [400]
    assert b"ok\n" not in received


async def test_a_head_of_too_many_headers_is_refused(served: Served) -> None:
    many = "".join(f"X-{number}: {'a' * 50}\r\n" for number in range(2000))
    received = await exchange(served, served.raw(b"{}", extra=many))
    assert 400 <= statuses(received)[0] < 500


async def test_a_client_that_sends_no_more_still_gets_its_answers(
    served: Served, make_key: MakeKey, owner: Actor
) -> None:
    """Half-closed right after its requests: it reads on."""
    made = await make_key(owner)
    request = served.raw(json.dumps({"key": made.secret, "cost": 0}).encode())
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    writer.write(request * 3)
    writer.write_eof()
    async with asyncio.timeout(TIMEOUT_SECONDS):
        received = await reader.read()
    writer.close()
    assert [answer["code"] for answer in bodies(received)] == ["VALID"] * 3


async def test_a_client_that_vanishes_takes_nobody_along(served: Served, make_key: MakeKey, owner: Actor) -> None:
    made = await make_key(owner)
    request = served.raw(json.dumps({"key": made.secret, "cost": 0}).encode())
    for _ in range(20):
        _, writer = await asyncio.open_connection("127.0.0.1", served.port)
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        writer.write(request * 5)
        await writer.drain()
        writer.close()  # a reset instead of an end
    assert statuses(await exchange(served, request)) == [200]


async def test_who_never_finishes_a_request_is_cut_off(served: Served) -> None:
    """However steadily bytes drip in; all at once, since each takes its whole patience."""
    beginnings = {
        "head": b"POST /check HTTP/1.1\r\nHost: a\r\n",
        "body": b"POST /check HTTP/1.1\r\nHost: a\r\nContent-Length: 5000\r\n\r\n{",
        "another route": b"GET /",
        "another route's head": b"GET / HTTP/1.1\r\nHost: a\r\n",
        "a second head": b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n",
    }
    ends = await asyncio.gather(*[_ends_though_bytes_drip_in(served, begin) for begin in beginnings.values()])
    assert dict(zip(beginnings, ends, strict=True)) == dict.fromkeys(beginnings, True)


async def _ends_though_bytes_drip_in(served: Served, beginning: bytes) -> bool:
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    writer.write(beginning)

    async def drip() -> None:
        while True:
            await asyncio.sleep(0.5)
            writer.write(b"a")

    dripping = asyncio.create_task(drip())
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            await reader.read()
    except ConnectionError:
        pass
    finally:
        dripping.cancel()
        writer.close()
    return reader.at_eof() or reader.exception() is not None
