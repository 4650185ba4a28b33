"""Records on the wire, and the time that a request id carries."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.core.ids import encode_128
from portal.usage import PoisonBatch, decode_batch, encode_batch
from portal.usage.records import encode_record, join_batch, occurred_at
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
