"""Requests as bytes, and answers read as bytes, over a socket that nothing else touches."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any

SECONDS = 30.0
CRLF = b"\r\n"


@dataclass(frozen=True)
class Raw:
    """A request of which every part may be anything."""

    line: bytes
    headers: tuple[bytes, ...] = ()
    body: bytes = b""
    newline: bytes = CRLF

    def encode(self) -> bytes:
        return self.newline.join([self.line, *self.headers, b"", b""]) + self.body

    def plus(self, *headers: bytes) -> "Raw":
        return replace(self, headers=self.headers + headers)

    def without(self, name: bytes) -> "Raw":
        return replace(
            self, headers=tuple(line for line in self.headers if line.partition(b":")[0].lower() != name.lower())
        )

    def instead(self, *headers: bytes) -> "Raw":
        """With these in the place of those of the same names."""
        request = self
        for header in headers:
            request = request.without(header.partition(b":")[0])
        return request.plus(*headers)

    def with_line(self, old: bytes, new: bytes) -> "Raw":
        return replace(self, line=self.line.replace(old, new, 1))

    def chunked(self, *chunks: bytes, trailers: bytes = b"") -> "Raw":
        """With the body in chunks: those given, as they are, or two good ones."""
        half = len(self.body) // 2
        good = [b"%x\r\n%b\r\n" % (len(part), part) for part in (self.body[:half], self.body[half:]) if part]
        body = b"".join(chunks or good) + b"0\r\n" + trailers + b"\r\n"
        return replace(self.without(b"Content-Length").plus(b"Transfer-Encoding: chunked"), body=body)


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


class Wire:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def answer(self, *, is_head: bool = False) -> Answer:
        """The next answer that is not an interim one."""
        async with asyncio.timeout(SECONDS):
            while True:
                head = await self.reader.readuntil(b"\r\n\r\n")
                first, *lines = head.decode("latin-1").strip().split("\r\n")
                headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
                status = int(first.split()[1])
                if status >= 200:
                    return Answer(status, headers, b"" if is_head else await self._body(headers))

    async def _body(self, headers: dict[str, str]) -> bytes:
        if headers.get("transfer-encoding") != "chunked":
            return await self.reader.readexactly(int(headers.get("content-length", 0)))
        body = b""
        while size := int((await self.reader.readuntil(CRLF)).strip(), 16):
            body += (await self.reader.readexactly(size + 2))[:-2]
        await self.reader.readexactly(2)
        return body

    async def is_ended(self) -> bool:
        """Whether the server says that nothing more comes, without a reset."""
        async with asyncio.timeout(SECONDS):
            return await self.reader.read(1) == b""


@asynccontextmanager
async def connected(port: int, **options: Any) -> AsyncIterator[Wire]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, **options)
    try:
        yield Wire(reader, writer)
    finally:
        writer.transport.abort()
        with suppress(OSError):
            await writer.wait_closed()
