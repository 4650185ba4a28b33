"""Records on the wire, and the time that a request id carries."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.core.ids import encode_128
from portal.usage import Denial, DeniedLimit, PoisonBatch, decode_batch, encode_batch
from portal.usage.records import denial_text, encode_record, join_batch, occurred_at, read_denial
from tests.usage.sample import NOON, record, records, request_id


def test_joined_records_are_a_batch() -> None:
    rows = records(3)
    assert decode_batch(join_batch([encode_record(row) for row in rows])) == rows == decode_batch(encode_batch(rows))


@pytest.mark.parametrize("batch", [b"", b"nonsense", encode_batch(records(2))[:-1], encode_batch([])[:0] + b"\x91\x01"])
def test_what_is_no_batch_is_poison(batch: bytes) -> None:
    with pytest.raises(PoisonBatch):
        decode_batch(batch)


@given(
    st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(2200, 1, 1)),  # noqa: DTZ001  # Hypothesis wants naive bounds
    st.integers(0, (1 << 72) - 1),
)
def test_the_time_comes_back_to_the_microsecond(naive: datetime, number: int) -> None:
    at = naive.replace(tzinfo=UTC)
    assert occurred_at(request_id(at, number)) == at


GOOD = request_id(NOON, 1)


@pytest.mark.parametrize(
    "wrong",
    ["", "req_", GOOD[:-1], GOOD + "0", GOOD.lower(), "rex_" + GOOD[4:], "req_" + "Z" * 26]
    + [f"req_{digit}{GOOD[5:]}" for digit in "ILOU_+ é"]
    + [f"req_{encode_128(1)[:-1]}{digit}" for digit in "U_ "],
)
def test_anything_else_is_no_request_id(wrong: str) -> None:
    with pytest.raises(ValueError, match=r"request id|too large|invalid literal"):
        occurred_at(wrong)


def test_a_record_survives_its_bytes() -> None:
    row = record(resource="GET /ä/¾req_", cost=1_000_000)
    assert decode_batch(encode_batch([row])) == [row]


_texts = st.text(st.sampled_from('a\\u0é/\0"\ufffd') | st.characters(exclude_categories=["Cs"]), max_size=40)
_scopes = st.lists(_texts, max_size=4).map(tuple)
_numbers = st.integers(0, 2**53 - 1)
_limits = st.builds(DeniedLimit, _texts, _numbers, st.none() | _numbers, _numbers, st.none() | _numbers)
denials = st.builds(Denial, st.lists(_limits, max_size=4).map(tuple), _scopes, _scopes, _texts, _texts)


@given(denials)
def test_what_a_denial_lacked_survives_bytes_and_json(denial: Denial) -> None:
    """PostgreSQL has no U+0000: it is replaced, and nothing else is."""
    row = record(code="RATE_LIMITED", denial=denial)
    assert decode_batch(encode_batch([row])) == [row]
    text = denial_text(denial)
    assert text is not None
    assert read_denial(msgspec.json.decode(text)) == Denial(
        tuple([msgspec.structs.replace(limit, name=stored(limit.name)) for limit in denial.limits]),
        tuple(map(stored, denial.missing_scopes)),
        tuple(map(stored, denial.key_scopes)),
        stored(denial.address),
        stored(denial.ended),
    )


def stored(text: str) -> str:
    return text.replace("\0", "\ufffd")


def test_versions_read_each_others_records() -> None:
    """The version before knows ten fields and takes those; what it wrote has no denial."""
    denied = record(code="IP_NOT_ALLOWED", denial=Denial(address="203.0.113.9"))
    assert before_and_after(encode_record(denied)) == msgspec.structs.replace(denied, denial=None)
    later: list[Any] = [*msgspec.msgpack.decode(encode_record(denied)), "a field of the version after"]
    assert decode_batch(msgspec.msgpack.encode([later])) == [denied]


def before_and_after(encoded: bytes) -> Any:
    """Decode as the version before did, encode as it did, decode as now."""
    known = [(name, kind) for name, kind in BEFORE.items()]
    before = msgspec.defstruct("Before", known, array_like=True, frozen=True)
    again = msgspec.msgpack.encode(msgspec.msgpack.decode(encoded, type=before))
    (row,) = decode_batch(join_batch([again]))
    return row


NAMES = ("request_id", "account_id", "key_id", "secret_id", "environment", "resource", "code")
BEFORE: dict[str, type] = dict.fromkeys(NAMES, str)
BEFORE |= {"cost": int, "period": str, "ip": str}


@pytest.mark.parametrize("stored_value", [None, [], 1, {"limits": 3}, {"limits": [{"name": 1}]}, "nonsense"])
def test_a_denial_that_nobody_understands_is_none(stored_value: object) -> None:
    assert read_denial(stored_value) is None


def test_what_a_later_version_adds_to_a_denial_is_skipped() -> None:
    assert read_denial({"address": "::1", "more": [1]}) == Denial(address="::1")
