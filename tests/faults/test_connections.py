"""Connections that want to stay for ever, more of them than there are descriptors, leave checks and probes alone.

The short form opens 1,200 of each kind, the long one 5,000; the server has 1,024 descriptors, hard and soft.
"""

import asyncio
import resource
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from time import monotonic

import pytest

from tests.faults.tools.check_client import CheckClient
from tests.faults.tools.place import Place
from tests.faults.tools.processes import Served
from tests.faults.tools.report import IS_LONG, Report, sized

COUNT = 5_000 if IS_LONG else 1_200
DESCRIPTORS = 1_024
TOGETHER = 100
PATIENCE_SECONDS = 10.0
"""For a busy machine: new connections wait in line behind the flood."""
HEAD = b" HTTP/1.1\r\nHost: portal\r\n"
SOCKET = (
    b"GET /graphql"
    + HEAD
    + b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    + b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n"
)
KINDS: dict[str, bytes] = {
    "silent": b"",
    "an empty line": b"\r\n",
    "a slow head": b"GET /" + HEAD,
    "a slow head of a check": b"POST /check" + HEAD,
    "a slow body": b"POST /graphql" + HEAD + b"Content-Type: application/json\r\nContent-Length: 900\r\n\r\n{",
    "a slow body of a batch": b"POST /check/batch" + HEAD + b"Authorization: Bearer a\r\n"
    b"Content-Type: application/json\r\nContent-Length: 90000\r\n\r\n{",
    "slow chunks": b"POST /check" + HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{",
    "one request, then an empty line": b"GET /livez" + HEAD + b"\r\n\r\n",
    "files that nobody reads": b"".join([b"GET /static/app.css" + HEAD + b"\r\n"] * 100),
    "a socket": SOCKET,
    "an upgrade with a body": b"POST /graphql" + HEAD + b"Upgrade: websocket\r\nConnection: upgrade\r\n"
    b"Content-Length: 9\r\n\r\n{",
    "an upgrade to h2c": b"POST /check" + HEAD + b"Upgrade: h2c\r\nConnection: Upgrade\r\nContent-Length: 9\r\n\r\n{",
}


class Probe:
    """Asks /livez and /check all the time, each on a connection that is kept and on new ones."""

    def __init__(self, url: str, token: str, key: str) -> None:
        self._url, self._token, self._key = url, token, key
        self.took_seconds: list[float] = []
        """Of each answer, on new and kept connections alike."""
        self.failed: list[str] = []

    async def run(self) -> None:
        ways: list[Callable[[], Awaitable[None]]] = []
        async with CheckClient(self._url, self._token, timeout_seconds=PATIENCE_SECONDS) as kept:
            ways = [lambda: self._check(kept), self._check_anew, self._live_kept, self._live_anew]
            await asyncio.gather(*(self._repeat(way) for way in ways))

    async def _repeat(self, way: Callable[[], Awaitable[None]]) -> None:
        while True:
            begun = monotonic()
            try:
                await way()
            except Exception as error:  # each is a finding, whatever it is
                self.failed.append(repr(error))
            else:
                self.took_seconds.append(monotonic() - begun)
            await asyncio.sleep(0.05)

    async def _check(self, client: CheckClient) -> None:
        answer = await client.check({"key": self._key, "cost": 0})
        assert answer.status == 200

    async def _check_anew(self) -> None:
        async with CheckClient(self._url, self._token, timeout_seconds=PATIENCE_SECONDS) as client:
            await self._check(client)

    _kept: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def _live_kept(self) -> None:
        if self._kept is None:
            self._kept = await connect(self._url)
        try:
            await live(*self._kept)
        except BaseException:
            self._kept[1].transport.abort()
            self._kept = None
            raise

    def close(self) -> None:
        if self._kept is not None:
            self._kept[1].transport.abort()

    async def _live_anew(self) -> None:
        reader, writer = await connect(self._url)
        try:
            await live(reader, writer)
        finally:
            writer.transport.abort()


async def connect(url: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, _, port = url.removeprefix("http://").partition(":")
    return await asyncio.open_connection(host, int(port), limit=1024)


async def live(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"GET /livez" + HEAD + b"\r\n")
    async with asyncio.timeout(PATIENCE_SECONDS):
        assert b" 200 " in await reader.readuntil(b"ok\n")


@pytest.fixture(scope="module", autouse=True)
def descriptors_of_ours() -> None:
    """This process holds the other end of each connection."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


async def flood(url: str, data: bytes, count: int) -> list[asyncio.StreamWriter]:
    """Open so many connections that send this and then nothing, and never read."""

    async def one() -> asyncio.StreamWriter | None:
        with suppress(OSError):
            _, writer = await connect(url)
            with suppress(OSError, RuntimeError):
                writer.transport.pause_reading()  # type: ignore[attr-defined]  # StreamWriter's is one that reads too
                writer.write(data)
            return writer
        return None

    opened: list[asyncio.StreamWriter] = []
    for first in range(0, count, TOGETHER):
        writers = await asyncio.gather(*[one() for _ in range(min(TOGETHER, count - first))])
        opened += [writer for writer in writers if writer is not None]
    return opened


@pytest.fixture(scope="module", params=sized([2], [1, 2]))
async def probed(
    request: pytest.FixtureRequest, place: Place, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Probe]:
    """A server with few descriptors, of one process and of two, and somebody who asks it all the time."""
    key = await place.make_key(await place.customer((1_000_000, 60_000)))
    folder = tmp_path_factory.mktemp("connections")
    settings = {
        "PORTAL_DATABASE_URL": place.services.database_url,
        "PORTAL_REDIS_URLS": ",".join(place.services.redis_urls),
        "PORTAL_DATA": str(folder / "data"),
    }
    served = Served(folder, settings, place.service_token, request.param, descriptors=DESCRIPTORS)
    try:
        await served.start_server()
        probe = Probe(served.url, served.token, key)
        asking = asyncio.create_task(probe.run())
        yield probe
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        probe.close()
    finally:
        await served.stop()


@pytest.mark.parametrize("kind", KINDS)
async def test_probes_and_checks_are_answered_beside_a_flood(probed: Probe, report: Report, kind: str) -> None:
    probed.failed.clear()
    probed.took_seconds.clear()
    writers = await flood(probed._url, KINDS[kind], COUNT)
    await asyncio.sleep(1)
    took = sorted(probed.took_seconds)
    for writer in writers:
        writer.transport.abort()
    assert len(took) > 20, probed.failed
    report.tell(
        f"{COUNT} connections: {kind}",
        f"{len(took)} answers, p99 {took[len(took) * 99 // 100]:.2f} s, slowest {took[-1]:.2f} s,"
        f" {len(probed.failed)} failed",
    )
    assert probed.failed == []
