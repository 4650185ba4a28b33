"""The lane speaks HTTP/1.1 correctly: in order, in pieces, and hands over what is not its own."""

import asyncio
import json

from portal.core.actor import Actor
from tests.web.check.conftest import MakeKey, Served


async def exchange(served: Served, *parts: bytes, pause: float = 0.0) -> bytes:
    """Send the parts, then read until the server closes or stays silent for a second."""
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    for part in parts:
        writer.write(part)
        await writer.drain()
        await asyncio.sleep(pause)
    received = b""
    try:
        while True:
            async with asyncio.timeout(1):
                data = await reader.read(65536)
            if not data:
                break
            received += data
    except TimeoutError:
        pass
    writer.close()
    return received


def bodies(received: bytes) -> list[dict[str, object]]:
    """The JSON bodies of pipelined answers, in order."""
    found = []
    for part in received.split(b"HTTP/1.1 ")[1:]:
        body = part.partition(b"\r\n\r\n")[2]
        found.append(json.loads(body) if body else {})
    return found


async def test_pipelined_requests_are_answered_in_their_order(served: Served, make_key: MakeKey, owner: Actor) -> None:
    made = await make_key(owner)
    valid = served.raw(json.dumps({"key": made.secret, "cost": 0}).encode())
    broken = served.raw(b"{")
    answers = bodies(await exchange(served, valid + broken + valid + broken + valid))
    assert [answer.get("code", answer.get("status")) for answer in answers] == ["VALID", 400, "VALID", 400, "VALID"]


async def test_a_request_may_come_byte_by_byte(served: Served, make_key: MakeKey, owner: Actor) -> None:
    made = await make_key(owner)
    request = served.raw(json.dumps({"key": made.secret}).encode())
    pieces = [request[index : index + 7] for index in range(0, len(request), 7)]
    assert bodies(await exchange(served, *pieces, pause=0.001))[0]["code"] == "VALID"


async def test_another_request_is_handed_over_after_the_answers_before_it(
    served: Served, make_key: MakeKey, owner: Actor
) -> None:
    made = await make_key(owner)
    valid = served.raw(json.dumps({"key": made.secret, "cost": 0}).encode())
    other = b"GET /livez HTTP/1.1\r\nHost: portal\r\n\r\n"
    received = await exchange(served, valid + valid + other + valid)
    parts = received.split(b"HTTP/1.1 ")[1:]
    assert [part[:3] for part in parts] == [b"200"] * 4
    assert parts[2].endswith(b"ok\n")
    assert b'"VALID"' in parts[3]


async def test_a_chunked_body_is_served_behind_the_hand_over(served: Served, make_key: MakeKey, owner: Actor) -> None:
    made = await make_key(owner)
    body = json.dumps({"key": made.secret}).encode()
    head = served.raw(b"").replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
    chunks = b"%x\r\n%s\r\n%x\r\n%s\r\n0\r\n\r\n" % (5, body[:5], len(body) - 5, body[5:])
    assert bodies(await exchange(served, head + chunks))[0]["code"] == "VALID"


async def test_expect_continue_is_honoured(served: Served, make_key: MakeKey, owner: Actor) -> None:
    made = await make_key(owner)
    request = served.raw(json.dumps({"key": made.secret}).encode(), extra="Expect: 100-continue\r\n")
    head, _, body = request.partition(b"\r\n\r\n")
    received = await exchange(served, head + b"\r\n\r\n", body, pause=0.2)
    assert received.startswith(b"HTTP/1.1 100 Continue")
    assert b'"VALID"' in received


async def test_malformed_http_is_400_and_closes(served: Served) -> None:
    for bad in (b"NONSENSE\r\n\r\n", b"POST /check HTTP/1.1\r\nHost: a\r\nBad Header: x\r\n\r\n"):
        assert (await exchange(served, bad)).startswith(b"HTTP/1.1 400")


async def test_two_lengths_are_not_guessed_between(served: Served) -> None:
    request = served.raw(b'{"key": "k"}', extra="Content-Length: 3\r\n")
    assert (await exchange(served, request)).startswith(b"HTTP/1.1 400")


async def test_connection_close_is_obeyed(served: Served, make_key: MakeKey, owner: Actor) -> None:
    made = await make_key(owner)
    request = served.raw(json.dumps({"key": made.secret}).encode(), extra="Connection: close\r\n")
    received = await exchange(served, request + request)
    assert received.count(b"HTTP/1.1 200") == 1
    assert b"connection: close" in received


async def test_a_head_without_end_is_refused(served: Served) -> None:
    received = await exchange(served, b"POST /check HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 40_000)
    assert received.startswith(b"HTTP/1.1 431")


async def test_head_of_another_route_goes_to_the_application(served: Served) -> None:
    received = await exchange(served, b"HEAD /livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert received.startswith(b"HTTP/1.1 200")
    assert received.endswith(b"\r\n\r\n")


async def test_many_requests_in_one_piece_are_all_answered(served: Served, make_key: MakeKey, owner: Actor) -> None:
    made = await make_key(owner)
    valid = served.raw(json.dumps({"key": made.secret, "cost": 0}).encode())
    assert len(bodies(await exchange(served, valid * 500))) == 500
