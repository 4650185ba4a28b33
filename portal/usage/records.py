"""Usage records: one a check, as the journal stores it and the bus carries it.

A batch on the bus is a msgpack array of records. Since the journal stores each record in that same form, the shipper
makes a batch by putting an array header in front of the stored bytes: nothing is decoded on the way.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import msgspec

from portal.core.errors import PortalError
from portal.core.ids import ALPHABET, BODY_LENGTH

REQUEST_PREFIX = "req_"
VALID = "VALID"
OTHER = "other"
"""What an account's resources beyond the thousandth of a day, and groups beyond the largest, are counted as."""
# Six text columns make the key of a bucket, and PostgreSQL refuses an index row of more than 2,700 bytes.
MAX_RESOURCE = 256

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PYTHON_DIGITS = "0123456789abcdefghijklmnopqrstuv"
_DIGITS = dict.fromkeys(range(128), "!") | str.maketrans(ALPHABET, _PYTHON_DIGITS)
_CLOCK_DIGITS = 12
_ARRAY_SMALL, _ARRAY_16, _ARRAY_32 = 0x90, 0xDC, 0xDD


class PoisonBatch(PortalError):
    """A message that is no batch of usage records, or holds one that can never be stored."""

    code = "POISON_BATCH"


Id = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
Word = Annotated[str, msgspec.Meta(max_length=64)]
Units = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]


QUOTA = "month"
"""What the quota is called among limits."""
MAX_DENIED_LIMITS = 64
MAX_DENIED_SCOPES = 20


class DeniedLimit(msgspec.Struct, frozen=True, gc=False):
    """A limit without room for a check: at most `limit` units in `window_ms` (0: the billing period).

    `used`: units in it before the check; None where Redis was not asked. `retry_ms`: how much later the same check
    would have passed this limit; None: never, its cost is above the limit.
    """

    name: str
    limit: int
    used: int | None
    window_ms: int
    retry_ms: int | None

    @property
    def remaining(self) -> int | None:
        """Units that were left; None where that is not known."""
        return None if self.used is None else max(0, self.limit - self.used)


class Denial(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """What a denied check lacked. `limits`: all that deny, the longest wait first and what never passes before it.

    `missing_scopes` of the check, and `key_scopes` that the key had instead. `address`: the caller's, as the gateway
    passed it on; empty where it did not. `ended`, of EXPIRED: whether it was the key or the secret.
    """

    limits: tuple[DeniedLimit, ...] = ()
    missing_scopes: tuple[str, ...] = ()
    key_scopes: tuple[str, ...] = ()
    address: str = ""
    ended: str = ""

    @property
    def retry_ms(self) -> int | None:
        """How much later all limits would have let the same check pass; None: never, or no limit denied it."""
        return self.limits[0].retry_ms if self.limits else None


class UsageRecord(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """One answered check. `period` is the billing period (YYYY-MM in the account's zone), `cost` its units.

    `ip` is the address of the client, as the gateway passed it on; empty where it did not. The sizes are
    what decoding insists on, so that nothing reaches a table that cannot hold it. Fields are added at the end, with a
    default: a reader of another version takes those that it knows. A segment finds its frames by there being fewer
    than 16 (journal/format.py).
    """

    request_id: Id
    account_id: Id
    key_id: Id
    secret_id: Id
    environment: Word
    resource: str
    code: Word
    cost: Units
    period: Word
    ip: Word = ""
    denial: Denial | None = None


@dataclass(frozen=True, slots=True)
class BrokenRecord:
    """A part of a batch that is no record: its bytes as a batch of its own, and what is wrong with it."""

    batch: bytes
    detail: str


# RecursionError: arrays within arrays, a hundred thousand deep.
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_ID_LENGTH = len(REQUEST_PREFIX) + BODY_LENGTH
_FIRST_FIELD = bytes([0xA0 | _ID_LENGTH]) + REQUEST_PREFIX.encode()
"""How a record's first field, its request id, begins; within the first bytes of a batch."""
_MAX_HEADER = 16
_encode = msgspec.msgpack.Encoder().encode
encode_record: Callable[[UsageRecord], bytes] = _encode
"""Encode one record as the journal stores it."""
_decode = msgspec.msgpack.Decoder(list[UsageRecord]).decode
_decode_apart = msgspec.msgpack.Decoder(list[msgspec.Raw]).decode
_decode_one = msgspec.msgpack.Decoder(UsageRecord).decode
_encode_json = msgspec.json.Encoder().encode


def encode_batch(records: Sequence[UsageRecord]) -> bytes:
    """Encode records as a batch on the bus."""
    return _encode(records)


def join_batch(encoded: Sequence[bytes]) -> bytes:
    """Make a batch of records that are encoded already."""
    return b"\xdd" + len(encoded).to_bytes(4, "big") + b"".join(encoded)


def decode_batch(batch: bytes) -> list[UsageRecord]:
    """Decode a batch. Raises PoisonBatch."""
    try:
        return _decode(batch)
    except _UNREADABLE as error:
        raise PoisonBatch(f"This is no batch of usage records: {error}.") from error


def decode_apart(batch: bytes) -> list[UsageRecord | BrokenRecord]:
    """Decode each record of a batch by itself, so that a broken one costs only itself. Raises PoisonBatch."""
    try:
        parts = _decode_apart(batch)
    except _UNREADABLE as error:
        raise PoisonBatch(f"This is no batch of usage records: {error}.") from error
    return [_decode_part(bytes(part)) for part in parts]


def count_in(batch: bytes) -> int:
    """Return how many records a batch has by its header alone; 0 for what is no batch."""
    first = batch[0] if batch else 0
    if first == _ARRAY_32:
        return int.from_bytes(batch[1:5], "big")
    if first == _ARRAY_16:
        return int.from_bytes(batch[1:3], "big")
    return first & 15 if first & 0xF0 == _ARRAY_SMALL else 0


def first_at(batch: bytes) -> datetime | None:
    """Return when the first record of a batch occurred, without decoding it; None for what is no batch."""
    begin = batch.find(_FIRST_FIELD, 0, _MAX_HEADER)
    if begin < 0:
        return None
    try:
        return occurred_at(batch[begin + 1 : begin + 1 + _ID_LENGTH].decode())
    except (ValueError, UnicodeDecodeError):
        return None


def denial_text(denial: Denial | None) -> str | None:
    """Return a denial as PostgreSQL stores it: JSON, which has no U+0000 there."""
    if denial is None:
        return None
    text = _encode_json(denial).decode()
    return text if "\\u0000" not in text else _encode_json(_without_zeros(msgspec.to_builtins(denial))).decode()


def read_denial(stored: Any) -> Denial | None:
    """Return the denial of a stored JSON value; None for none, or one that a later version wrote differently."""
    try:
        return msgspec.convert(stored, Denial | None)
    except msgspec.ValidationError:
        return None


def _without_zeros(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\0", "\ufffd")
    if isinstance(value, dict):
        return {name: _without_zeros(part) for name, part in value.items()}
    return [_without_zeros(part) for part in value] if isinstance(value, list | tuple) else value


def _decode_part(part: bytes) -> UsageRecord | BrokenRecord:
    try:
        return _decode_one(part)
    except _UNREADABLE as error:
        return BrokenRecord(join_batch([part]), str(error))


def occurred_at(request_id: str) -> datetime:
    """Return when a check was decided: the 56 bits of microseconds that its id starts with. Raises ValueError."""
    body = request_id[len(REQUEST_PREFIX) :]
    if not request_id.startswith(REQUEST_PREFIX) or len(body) != BODY_LENGTH or not (body.isalnum() and body.isascii()):
        raise ValueError(f"{request_id!r} is no request id")
    # int() reads such a text an order of magnitude faster than a loop over its digits.
    digits = body.translate(_DIGITS)
    if int(digits, 32) >> 128:
        raise ValueError(f"{request_id!r} is too large")
    return _EPOCH + timedelta(microseconds=int(digits[:_CLOCK_DIGITS], 32) >> 2)
