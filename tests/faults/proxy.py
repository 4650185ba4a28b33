"""A TCP proxy that delays: answers come late, in pieces, several at once, but never out of order. It can cut."""

import asyncio
import random
from contextlib import suppress
from types import TracebackType
from typing import Self

DELAY_SECONDS = 0.012
STALL_SECONDS = 0.15
STALLED_SHARE = 0.01
_CHUNK = 65_536


class DelayingProxy:
    """`async with DelayingProxy(port) as proxy`: `proxy.port` leads to `port`."""

    def __init__(self, target_port: int, seed: int) -> None:
        self.port = 0
        self._target_port = target_port
        self._random = random.Random(seed)  # noqa: S311 delays are no secrets
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        self.cut()
        await self._server.wait_closed()

    def cut(self) -> int:
        """Reset every connection now, whatever is on its way. Returns how many there were."""
        cut = [writer for writer in self._writers if not writer.is_closing()]
        for writer in cut:
            writer.transport.abort()
        return len(cut) // 2

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target_port)
            self._writers |= {writer, far_writer}
            try:
                await asyncio.gather(self._pump(reader, far_writer, 0.0), self._pump(far_reader, writer, DELAY_SECONDS))
            finally:
                self._writers -= {writer, far_writer}
                far_writer.transport.abort()
        writer.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay: float) -> None:
        try:
            while data := await reader.read(_CHUNK):
                for piece in self._pieces(data) if delay else [data]:
                    is_stalled = delay and self._random.random() < STALLED_SHARE
                    await asyncio.sleep(STALL_SECONDS if is_stalled else self._random.random() * delay)
                    writer.write(piece)
                await writer.drain()
        finally:
            writer.transport.abort()

    def _pieces(self, data: bytes) -> list[bytes]:
        """Cut at random places, amid a reply as well."""
        cuts = sorted(self._random.randrange(len(data) + 1) for _ in range(2))
        return [data[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]
