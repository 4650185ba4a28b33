"""The body of a request: as many bytes as were announced, or chunks (RFC 9112, 7.1), bounded while they come."""

import re
from collections.abc import Callable

from web.connection.head import Refused, check_trailer
from web.connection.limits import (
    MAX_BODY_BYTES,
    MAX_CHUNK_LINE_BYTES,
    MAX_HEAD_BYTES,
    MAX_HEADERS,
    MAX_SMALL_CHUNKS,
    MIN_CHUNK_BYTES,
)

CR = 0x0D
Take = Callable[[bytes], None]
_CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,16})(?:[ \t]*;[\t\x20-\x7e\x80-\xff]*)?\r\n")


class LengthBody:
    """A body of a known length. `take` is given each piece."""

    def __init__(self, length: int, take: Take) -> None:
        self._missing = length
        self._take = take

    def feed(self, data: bytes) -> bytes | None:
        """Take what belongs to the body, and return what comes after it; None while it is not whole."""
        piece = data[: self._missing]
        self._missing -= len(piece)
        if piece:
            self._take(piece)
        return None if self._missing else data[len(piece) :]


class ChunkedBody:
    """A chunked body. Extensions and trailers are read, bounded and dropped."""

    def __init__(self, take: Take) -> None:
        self._take = take
        self._rest = b""
        self._step = self._read_size
        self._missing = 0
        self._size = self._chunks = self._trailers = self._trailer_bytes = 0
        self._is_whole = False

    def feed(self, data: bytes) -> bytes | None:
        """Take what belongs to the body, and return what comes after it; None while it is not whole. Raises Refused."""
        data, position = self._rest + data if self._rest else data, 0
        while not self._is_whole:
            following = self._step(data, position)
            if following is None:
                self._rest = data[position:]
                return None
            position = following
        return data[position:]

    def _read_size(self, data: bytes, begin: int) -> int | None:
        end = _find_line(data, begin, MAX_CHUNK_LINE_BYTES, 400)
        if end is None:
            return None
        match = _CHUNK_LINE.fullmatch(data, begin, end)
        if match is None:
            raise Refused(400, "A chunk begins with its size in hexadecimal digits.")
        size = int(match[1], 16)
        self._chunks += 1
        self._size += size
        if self._size > MAX_BODY_BYTES:
            raise Refused(413, f"A body has at most {MAX_BODY_BYTES} bytes.")
        if self._chunks > MAX_SMALL_CHUNKS + self._size // MIN_CHUNK_BYTES:
            raise Refused(400, f"These chunks are too small: send {MIN_CHUNK_BYTES} bytes or more in each.")
        self._missing = size
        self._step = self._read_data if size else self._read_trailer
        return end

    def _read_data(self, data: bytes, begin: int) -> int | None:
        if not self._missing:
            return self._read_end_of_chunk(data, begin)
        piece = data[begin : begin + self._missing]
        if not piece:
            return None
        self._missing -= len(piece)
        self._take(piece)
        return begin + len(piece)

    def _read_end_of_chunk(self, data: bytes, begin: int) -> int | None:
        end = data[begin : begin + 2]
        if not b"\r\n".startswith(end):
            raise Refused(400, "A chunk is longer than it says.")
        if len(end) < 2:
            return None
        self._step = self._read_size
        return begin + 2

    def _read_trailer(self, data: bytes, begin: int) -> int | None:
        end = _find_line(data, begin, MAX_HEAD_BYTES - self._trailer_bytes, 431)
        if end is None:
            return None
        line = data[begin : end - 2]
        if not line:
            self._is_whole = True
            return end
        check_trailer(line)
        self._trailers += 1
        self._trailer_bytes += end - begin
        if self._trailers > MAX_HEADERS or self._trailer_bytes > MAX_HEAD_BYTES:
            raise Refused(431, f"A body has at most {MAX_HEADERS} trailers of {MAX_HEAD_BYTES} bytes together.")
        return end


def _find_line(data: bytes, begin: int, max_bytes: int, too_long: int) -> int | None:
    """Return where the line ends that begins here, its CR LF included; None when its end has not come.

    Raises Refused with the status `too_long`, or 400.
    """
    end = data.find(b"\n", begin)
    if (end if end >= 0 else len(data)) - begin > max_bytes:
        raise Refused(too_long, "A line of this chunked body, or its trailers together, are too long.")
    if end >= 0 and (end == begin or data[end - 1] != CR):
        raise Refused(400, "Lines end with CR LF.")
    return end + 1 if end >= 0 else None
