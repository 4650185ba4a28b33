"""The journal's bytes: what is whole is read, what is not never is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.core.ids import new_id
from portal.usage.journal.format import (
    FRAME_SIZE,
    MAX_PAYLOAD,
    encode_frames,
    find_frame,
    is_header,
    scan_frames,
    segment_header,
)
from portal.usage.records import encode_record
from tests.usage.sample import record

ALL = 10**6
payload_lists = st.lists(st.binary(min_size=1, max_size=80), max_size=20)


@given(payload_lists)
def test_what_was_framed_is_read_back(payloads: list[bytes]) -> None:
    data = encode_frames(payloads)
    scan = scan_frames(data, ALL)
    assert (scan.payloads, scan.end, scan.is_broken) == (payloads, len(data), False)


@given(payload_lists, st.integers(min_value=0, max_value=2000))
def test_a_cut_keeps_every_whole_frame_before_it(payloads: list[bytes], cut: int) -> None:
    data = encode_frames(payloads)
    scan = scan_frames(data[:cut], ALL)
    ends = [len(encode_frames(payloads[: n + 1])) for n in range(len(payloads))]
    assert scan.payloads == [p for p, end in zip(payloads, ends, strict=True) if end <= cut]
    assert not scan.is_broken


@given(payload_lists.filter(bool), st.data())
def test_a_flipped_bit_is_never_accepted(payloads: list[bytes], data: st.DataObject) -> None:
    frames = bytearray(encode_frames(payloads))
    bit = data.draw(st.integers(0, len(frames) * 8 - 1))
    frames[bit // 8] ^= 1 << bit % 8
    scan = scan_frames(bytes(frames), ALL)
    assert scan.payloads == payloads[: len(scan.payloads)]
    assert len(scan.payloads) < len(payloads)
    assert scan.end <= bit // 8


@given(payload_lists, st.binary(max_size=200))
def test_garbage_behind_frames_adds_nothing_but_whole_frames(payloads: list[bytes], garbage: bytes) -> None:
    scan = scan_frames(encode_frames(payloads) + garbage, ALL)
    assert scan.payloads[: len(payloads)] == payloads
    assert scan.end >= len(encode_frames(payloads))


def test_zeros_are_no_frame() -> None:
    scan = scan_frames(bytes(100), ALL)
    assert (scan.payloads, scan.end, scan.is_broken) == ([], 0, True)


def test_reading_stops_at_the_most() -> None:
    scan = scan_frames(encode_frames([b"a", b"b", b"c"]), 2)
    assert (scan.payloads, scan.end) == ([b"a", b"b"], 2 * (FRAME_SIZE + 1))


@pytest.mark.parametrize("payload", [b"", bytes(MAX_PAYLOAD + 1)])
def test_a_payload_has_a_size(payload: bytes) -> None:
    with pytest.raises(ValueError, match="a journal record has"):
        encode_frames([payload])


@given(st.binary(max_size=200), st.binary(max_size=50))
def test_a_frame_is_found_behind_anything(before: bytes, after: bytes) -> None:
    frame = encode_frames([encode_record(record())])
    assert find_frame(before + frame + after) == len(before)
    assert find_frame(before + frame[:-1]) is None
    assert find_frame(before + frame, len(before) + 1) is None


def test_a_header_is_known_by_all_of_its_bytes() -> None:
    header = segment_header(new_id("x")[2:])
    assert is_header(header)
    assert not is_header(header[:-1])
    assert not any(is_header(header[:n] + bytes([header[n] ^ 1]) + header[n + 1 :]) for n in range(len(header)))
