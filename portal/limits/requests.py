"""What the limiter is asked and what it answers. On the wire both are one flat array for all checks of a call."""

from collections.abc import Sequence
from enum import IntEnum
from typing import Any

import msgspec


class Mode(IntEnum):
    CONSUME = 0
    LOOK = 1
    """Decide as if consuming, write nothing."""
    CONFIRM = 2
    """Ask whether the policy is current, and how the limits stand: nothing is decided by them or written."""


class Status(IntEnum):
    ADMITTED = 0
    RATE_LIMITED = 1
    QUOTA_EXCEEDED = 2
    STALE = 3
    """The policy is older than the account's record: load it anew and ask again."""
    UNSEEDED = 4
    """Redis does not know the account's counters: ask again with a seed from PostgreSQL."""
    CONFIRMED = 5
    REPEATED = 6
    """The retry id was answered before; the decision is the first one's."""
    FAILED = 7
    """What Redis holds for a subject is not what the script wrote: no decision."""
    REUSED = 8
    """The retry id was answered before, to another question: nothing is decided."""


class Window(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """At most `amount` units in any stretch of `window_us` microseconds."""

    amount: int
    window_us: int


class Bucket(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A token bucket: `capacity` units at once, refilled by `amount` units each `window_us` microseconds."""

    capacity: int
    amount: int
    window_us: int


class Subject(msgspec.Struct, frozen=True, gc=False):
    """One state in Redis: a log that serves all its windows, or a bucket."""

    name: str
    windows: tuple[Window, ...] = ()
    bucket: Bucket | None = None


class Quota(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The account's units per period: `amount` -1 counts without denying.

    `periods`: (name, start, end) in microseconds, adjacent; the script takes the one that holds its now.
    """

    amount: int
    periods: tuple[tuple[str, int, int], ...]


class Seed(msgspec.Struct, frozen=True, array_like=True):
    """The account's record as PostgreSQL knows it: policy version and used units by period name."""

    version: int
    used: dict[str, int]


class QuotaCorrection(msgspec.Struct, frozen=True):
    """A check's cost was replaced: its period has `added` units more (negative: fewer), and by all so far `settled`."""

    account_id: str
    request_id: str
    period: str
    added: int
    settled: int


class Retry(msgspec.Struct, frozen=True, gc=False):
    """What makes a request safe to repeat: under each of `names` its answer is stored once it is admitted.

    `blob` comes back with a repeated answer. `digest` is of all that was asked: under a known name another one is
    refused (REUSED).
    """

    names: tuple[str, ...]
    blob: str
    digest: str


class LimitRequest(msgspec.Struct):
    """One check. `version` 0: a subject without a policy, such as a log-in, has no record.

    `costs`: units for each subject, where they differ from `cost`, which is the quota's. `encoded`: by who asks the
    same again and again, and then never changes it.
    """

    account_id: str
    version: int
    mode: Mode
    cost: int
    subjects: tuple[Subject, ...]
    quota: Quota | None
    seed: Seed | None = None
    retry: Retry | None = None
    costs: tuple[int, ...] | None = None
    encoded: "Encoded | None" = None


class Encoded(msgspec.Struct, gc=False, frozen=True):
    """A request on the wire: the script's keys for it, as Redis's protocol has them, and its fields."""

    keys: bytes
    key_count: int
    fields: bytes
    length: int


ADMITS, NEVER = -1, -2


class LimitState(msgspec.Struct, gc=False):
    """A window or bucket before this check: units in it, microseconds until the next one leaves (0: empty).

    `retry_us`: ADMITS; NEVER, the cost can never pass; else microseconds until it would pass.
    """

    used: int
    reset_us: int
    retry_us: int


class Decision(msgspec.Struct, gc=False):
    """`states` follow the subjects' windows; `used` and `period` (an index into the quota's) are -1 without quota.

    `now_us` is Redis's clock. A repeated answer is the first decision's, which admitted; `blob` was stored with it.
    """

    status: Status
    now_us: int
    used: int = -1
    period: int = -1
    states: list[LimitState] = []
    blob: str = ""


_encode = msgspec.msgpack.Encoder().encode
_decoder = msgspec.msgpack.Decoder()
_STATUSES = tuple(Status)
_REPEATED = int(Status.REPEATED)


def encode_call(script: Sequence[bytes], requests: Sequence[LimitRequest], *more: int) -> bytes:
    """Return the whole command in the protocol's own form, for all requests together.

    `script`: EVALSHA and its name, or EVAL and its text. Then come the keys in the order in which the script takes
    them, the fields of all requests in one array, and `more` numbers.
    """
    encoded = [request.encoded or encode(request) for request in requests]
    count, length = 0, 0
    for request in encoded:
        count += request.key_count
        length += request.length
    body = b"\xdd" + length.to_bytes(4, "big") + b"".join([request.fields for request in encoded])
    head = b"*%d\r\n" % (len(script) + 2 + count + len(more))
    keys = b"".join([request.keys for request in encoded])
    return b"".join(
        [head, *map(_bulk, script), _bulk(b"%d" % count), keys, _bulk(body), *[_bulk(b"%d" % n) for n in more]]
    )


def encode(request: LimitRequest) -> Encoded:
    """Return a request as it travels; keep it in `request.encoded` where the same is asked again."""
    keys = [f"account:{request.account_id}", *[f"limit:{subject.name}" for subject in request.subjects]]
    retry = request.retry
    if retry is not None:
        keys += [f"answer:{request.account_id}:{name}" for name in retry.names]
    fields: list[Any] = [request.version, request.mode, request.cost, request.seed or False]
    fields.append([retry.blob, retry.digest] if retry is not None else False)
    fields += _quota(request.quota)
    fields.append(len(request.subjects))
    costs = request.costs or (request.cost,) * len(request.subjects)
    for cost, subject in zip(costs, request.subjects, strict=True):
        fields += _subject(cost, subject)
    length = len(fields) + 2
    body = b"".join([_encode(field) for field in (length, len(keys), *fields)])
    return Encoded(b"".join([_bulk(key.encode()) for key in keys]), len(keys), body, length)


def _bulk(data: bytes) -> bytes:
    return b"$%d\r\n%b\r\n" % (len(data), data)


def _quota(quota: Quota | None) -> list[Any]:
    if quota is None:
        return [False]
    return [quota.amount, len(quota.periods), *[field for period in quota.periods for field in period]]


def _subject(cost: int, subject: Subject) -> list[int]:
    """Return the fields of a subject; no windows means a bucket."""
    if subject.bucket is not None:
        bucket = subject.bucket
        return [cost, 0, bucket.capacity, bucket.amount, bucket.window_us]
    numbers = [number for window in subject.windows for number in (window.amount, window.window_us)]
    return [cost, len(subject.windows), *numbers]


def decode_decisions(reply: bytes) -> tuple[int, list[Decision]]:
    """Return Redis's clock, and decisions in the order of the requests: none when the script came to them too late."""
    values = _decoder.decode(reply)
    decisions: list[Decision] = []
    at, end = 1, len(values)
    while at < end:
        status, used, period, count = values[at : at + 4]
        at += 4
        after = at + count * 3
        states = [LimitState(values[n], values[n + 1], values[n + 2]) for n in range(at, after, 3)]
        at = after
        if status == _REPEATED:
            now_us, blob = values[at : at + 2]
            decisions.append(Decision(Status.REPEATED, now_us, used, period, states, blob))
            at += 2
        else:
            decisions.append(Decision(_STATUSES[status], values[0], used, period, states))
    return values[0], decisions
