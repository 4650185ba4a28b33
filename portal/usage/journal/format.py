"""The bytes of a journal segment, without any file: header, framing, and what can be trusted of what was read.

    segment = header, then frames to the end
    header  = magic, version u32, incarnation (26 characters), crc32 of these
    frame   = length u32, crc32 u32 of the payload, payload: one usage record in msgpack

All numbers are little-endian. A frame counts only when it is whole and its checksum fits; reading stops at the first
that does not. Whether that is a torn end or damage in the middle shows in what follows: `find_frame`.
"""

import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass

MAGIC = b"PRTLJRNL"
VERSION = 1
MAX_PAYLOAD = 65_536

_HEADER = struct.Struct("<8sI26sI")
_FRAME = struct.Struct("<II")
_pack, _unpack = _FRAME.pack, _FRAME.unpack_from
HEADER_SIZE = _HEADER.size
FRAME_SIZE = _FRAME.size
# Every payload is an array of fewer than 16 fields whose first is a request id of 30 characters.
_PAYLOAD_MARK = b"\xbereq_"
_MARK_AT = FRAME_SIZE + 1


@dataclass(frozen=True, slots=True)
class Scan:
    """The whole frames from the start of some bytes. `end` is where the next one begins.

    `is_broken`: what stands there can never become a frame, however many bytes follow.
    """

    payloads: list[bytes]
    end: int
    is_broken: bool


def segment_header(incarnation: str) -> bytes:
    """Build the header of an incarnation's segment."""
    fields = _HEADER.pack(MAGIC, VERSION, incarnation.encode(), 0)[:-4]
    return fields + struct.pack("<I", zlib.crc32(fields))


def is_header(data: bytes) -> bool:
    """Return whether these bytes are a whole header of a version that we read."""
    if len(data) != HEADER_SIZE:
        return False
    magic, version, _, checksum = _HEADER.unpack(data)
    return bool(magic == MAGIC and version == VERSION and checksum == zlib.crc32(data[:-4]))


def encode_frames(payloads: Iterable[bytes]) -> bytes:
    """Frame payloads, one after the other. Raises ValueError for an empty or too large one."""
    parts: list[bytes] = []
    for payload in payloads:
        if not 0 < len(payload) <= MAX_PAYLOAD:
            raise ValueError(f"a journal record has 1 to {MAX_PAYLOAD} bytes, this one {len(payload)}")
        parts += (_pack(len(payload), zlib.crc32(payload)), payload)
    return b"".join(parts)


def scan_frames(data: bytes, max_frames: int) -> Scan:
    """Read at most `max_frames` whole frames. Zeros are no frame: a length of 0 is broken."""
    payloads: list[bytes] = []
    at, size = 0, len(data)
    while len(payloads) < max_frames and size - at >= FRAME_SIZE:
        length, checksum = _unpack(data, at)
        if not 0 < length <= MAX_PAYLOAD:
            return Scan(payloads, at, is_broken=True)
        begin = at + FRAME_SIZE
        if begin + length > size:
            break
        payload = data[begin : begin + length]
        if zlib.crc32(payload) != checksum:
            return Scan(payloads, at, is_broken=True)
        payloads.append(payload)
        at = begin + length
    return Scan(payloads, at, is_broken=False)


def find_frame(data: bytes, start: int = 0) -> int | None:
    """Return where the first whole, valid frame at or after `start` begins, or None."""
    mark = data.find(_PAYLOAD_MARK, start + _MARK_AT)
    while mark >= 0:
        at = mark - _MARK_AT
        length, checksum = _unpack(data, at)
        payload = data[at + FRAME_SIZE : at + FRAME_SIZE + length] if length <= MAX_PAYLOAD else b""
        if payload and len(payload) == length and zlib.crc32(payload) == checksum:
            return at
        mark = data.find(_PAYLOAD_MARK, mark + 1)
    return None
