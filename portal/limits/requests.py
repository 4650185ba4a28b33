"""What the limiter is asked and what it answers. Arrays on the wire: their field order is the script's."""

from enum import IntEnum

import msgspec


class Mode(IntEnum):
    CONSUME = 0
    LOOK = 1
    """Decide as if consuming, write nothing."""
    CONFIRM = 2
    """Only ask whether the policy is current."""


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


class Window(msgspec.Struct, frozen=True, array_like=True):
    """At most `amount` units in any stretch of `window_us` microseconds."""

    amount: int
    window_us: int


class Bucket(msgspec.Struct, frozen=True, array_like=True):
    """A token bucket: `capacity` units at once, refilled by `amount` units each `window_us` microseconds."""

    capacity: int
    amount: int
    window_us: int


class Subject(msgspec.Struct, frozen=True):
    """One state in Redis: a log that serves all its windows, or a bucket."""

    name: str
    windows: tuple[Window, ...] = ()
    bucket: Bucket | None = None


class Quota(msgspec.Struct, frozen=True, array_like=True):
    """The account's units per period: `amount` -1 counts without denying.

    `periods`: (name, start, end) in microseconds, adjacent; the script takes the one that holds its now.
    """

    amount: int
    periods: tuple[tuple[str, int, int], ...]


class Seed(msgspec.Struct, frozen=True, array_like=True):
    """The account's record as PostgreSQL knows it: policy version and used units by period name."""

    version: int
    used: dict[str, int]


class Settled(msgspec.Struct, frozen=True):
    """A check's cost was replaced: its period has `added` units more (negative: fewer), and by all so far `settled`."""

    account_id: str
    request_id: str
    period: str
    added: int
    settled: int


class LimitRequest(msgspec.Struct):
    """One check. `version` 0: a subject without a policy, such as a log-in, has no record.

    `retry` is (name, blob): the text `blob` comes back with a repeated answer. `costs`: units for each subject, where
    they differ from `cost`, which is the quota's.
    """

    account_id: str
    version: int
    mode: Mode
    cost: int
    subjects: tuple[Subject, ...]
    quota: Quota | None
    seed: Seed | None = None
    retry: tuple[str, str] | None = None
    costs: tuple[int, ...] | None = None


class LimitState(msgspec.Struct, array_like=True):
    """A window or bucket before this check: units in it, microseconds until the next one leaves (0: empty).

    `retry_us`: -1 it admits; -2 the cost can never pass; else microseconds until it would pass.
    """

    used: int
    reset_us: int
    retry_us: int


class Decision(msgspec.Struct, array_like=True):
    """`states` follow the subjects' windows; `used` and `period` (an index into the quota's) are -1 without quota.

    `now_us` is Redis's clock. A repeated answer is the first decision's: `blob` was stored with it and
    `first_status` is how it was decided.
    """

    status: Status
    now_us: int
    used: int = -1
    period: int = -1
    states: list[LimitState] = []
    blob: str = ""
    first_status: Status = Status.ADMITTED


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(list[Decision])


def encode_requests(requests: list[LimitRequest]) -> tuple[list[str], bytes]:
    """The script's keys, in the order in which it takes them, and its one argument."""
    keys: list[str] = []
    body = []
    for request in requests:
        keys.append(f"account:{request.account_id}")
        keys.extend([f"limit:{subject.name}" for subject in request.subjects])
        if request.retry is not None:
            keys.append(f"answer:{request.account_id}:{request.retry[0]}")
        body.append(
            (
                request.version,
                request.mode,
                request.cost,
                _subjects(request),
                request.quota or False,
                request.seed or False,
                request.retry[1] if request.retry is not None else False,
            )
        )
    return keys, _encoder.encode(body)


def _subjects(request: LimitRequest) -> list[tuple[int, tuple[Window, ...], Bucket | bool]]:
    if request.costs is None:
        cost = request.cost
        return [(cost, subject.windows, subject.bucket or False) for subject in request.subjects]
    pairs = zip(request.costs, request.subjects, strict=True)
    return [(cost, subject.windows, subject.bucket or False) for cost, subject in pairs]


def decode_decisions(reply: bytes) -> list[Decision]:
    return _decoder.decode(reply)
