"""PostgreSQL as it is on bad days, at the wire: a proxy that hands on, or refuses each log-in."""

import asyncio
import struct
from contextlib import suppress

from tests.faults.tools.relay_proxy import RelayProxy

SSL_REQUEST = struct.pack("!ii", 8, 80877103)


class MoodyPostgres(RelayProxy):
    """`mood` None hands on; "hang", "cut" and "garbage" are as they sound; a SQLSTATE refuses each log-in with it."""

    mood: str | None = None

    def become(self, mood: str | None) -> None:
        """Change the mood; who is connected is cut off."""
        self.mood = mood
        self.cut()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        mood = self.mood
        if mood is None:
            await super()._serve(reader, writer)
            return
        self._writers.add(writer)
        try:
            with suppress(OSError, asyncio.IncompleteReadError):
                await self._answer(mood, reader, writer)
        finally:
            self._writers.discard(writer)
            writer.transport.abort()

    async def _answer(self, mood: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if mood == "cut":
            return
        if mood == "hang":
            await reader.read(-1)
            return
        if await _packet(reader) == SSL_REQUEST:
            writer.write(b"N")
            await _packet(reader)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n" if mood == "garbage" else _refusal(mood))
        await writer.drain()
        await asyncio.sleep(0.01)


async def _packet(reader: asyncio.StreamReader) -> bytes:
    """Read a packet that begins with its own length, as those before a log-in do."""
    head = await reader.readexactly(4)
    return head + await reader.readexactly(struct.unpack("!i", head)[0] - 4)


def _refusal(sqlstate: str) -> bytes:
    fields = b"SFATAL\0VFATAL\0C" + sqlstate.encode() + b"\0Mnot today\0\0"
    return b"E" + struct.pack("!i", len(fields) + 4) + fields
