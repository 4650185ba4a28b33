"""Many checks in one call against an exact model: the same states several times, retries, seeds, quotas, two periods.

What the script reads once and writes at the end must look to each check as if it had been alone.
"""

from dataclasses import dataclass, field

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from portal.core.ids import new_id
from portal.limits import Bucket, Decision, LimitRequest, LimitState, Mode, Quota, Retry, Seed, Status, Subject, Window
from tests.limits.oracle import CASES, START_US, BucketModel, Server, WindowModel

LONGEST = 700_000
NEXT_PERIOD = START_US + 1_500_000
PERIODS = (("first", START_US - 10**12, NEXT_PERIOD), ("second", NEXT_PERIOD, START_US + 10**12))
LOGS = {
    "log": (Window(6, 100_000), Window(15, LONGEST)),
    "log of another policy": (Window(4, 50_000), Window(9, 300_000), Window(20, LONGEST)),
    "other log": (Window(5, 300_000),),
}
BUCKETS = {"bucket": Bucket(7, 3, 100_000), "other bucket": Bucket(4, 7, 99_991)}
BROKEN = "broken"
NAMES = [*LOGS, *BUCKETS, BROKEN]

State = tuple[int, int, int]


@dataclass
class Check:
    """`subjects`: names and costs."""

    account: str
    version: int
    mode: Mode
    cost: int
    subjects: dict[str, int]
    quota: int | None
    seed: Seed | None
    retries: tuple[str, ...]
    question: str


@dataclass
class Expected:
    status: Status
    now: int
    used: int = -1
    period: int = -1
    states: list[State] = field(default_factory=list)


@dataclass
class Account:
    version: int | None = None
    since: int = 0
    used: dict[str, int] = field(default_factory=dict)
    answers: dict[str, tuple[str, Expected]] = field(default_factory=dict)


def state_name(name: str) -> str:
    """Two policies of different age may hold one log to different windows."""
    return "log" if name in LOGS and name != "other log" else name


class Model:
    def __init__(self) -> None:
        self.accounts: dict[str, Account] = {}
        self.logs: dict[str, WindowModel] = {"log": WindowModel(0, 0), "other log": WindowModel(0, 0)}
        self.buckets = {name: BucketModel(bucket) for name, bucket in BUCKETS.items()}

    def decide(self, check: Check, now: int) -> Expected:
        account = self.accounts.setdefault(check.account, Account())
        problem = self._record_problem(account, check, now)
        if problem is not None:
            return Expected(problem, now)
        known = [account.answers[retry] for retry in check.retries if retry in account.answers]
        if any(question != check.question for question, _ in known):
            return Expected(Status.REUSED, now)
        if known and check.mode is Mode.CONSUME:
            return known[-1][1]
        period, used = self._used(account, check, now) if check.quota is not None else (-1, -1)
        if used is None and check.mode is not Mode.CONFIRM:
            return Expected(Status.UNSEEDED, now)
        if used is None:
            period, used = -1, -1
        states: list[State] = []
        for name, cost in check.subjects.items():
            if name == BROKEN:
                return Expected(Status.FAILED, now)
            states += self._states(name, now, cost)
        expected = Expected(self._status(check, used, states), now, used, period, states)
        if check.mode is Mode.CONSUME and expected.status is Status.ADMITTED:
            if check.cost:
                account.answers |= dict.fromkeys(check.retries, (check.question, expected))
            self._consume(account, check, now)
        return expected

    def _record_problem(self, account: Account, check: Check, now: int) -> Status | None:
        if check.seed is not None and (account.version is None or account.version < check.seed.version):
            if account.version is None:
                account.since = now
            account.version = check.seed.version
        if account.version is None:
            return Status.UNSEEDED
        return Status.STALE if check.version < account.version else None

    def _used(self, account: Account, check: Check, now: int) -> tuple[int, int | None]:
        index = 0 if now < NEXT_PERIOD else 1
        name, start, _ = PERIODS[index]
        if name not in account.used and check.seed is not None and name in check.seed.used:
            account.used[name] = check.seed.used[name]
        return index, account.used.get(name, 0 if account.since <= start else None)

    def _states(self, name: str, now: int, cost: int) -> list[State]:
        if name in BUCKETS:
            kept = self.buckets[name]
            kept.at = min(kept.at, now)
            return [BucketModel(kept.bucket, kept.level, kept.at).state(now, cost)]  # to look is not to keep
        log = self.logs[state_name(name)]
        newest = max((at for at, _ in log.admitted), default=now)
        log.go_back(max(0, newest - now))
        return [WindowModel(w.amount, w.window_us, log.admitted).state(now, cost) for w in LOGS[name]]

    def _status(self, check: Check, used: int, states: list[State]) -> Status:
        if check.mode is Mode.CONFIRM:
            return Status.CONFIRMED
        if any(wait != -1 for _, _, wait in states):
            return Status.RATE_LIMITED
        is_over = check.quota is not None and 0 <= check.quota < used + check.cost
        return Status.QUOTA_EXCEEDED if is_over else Status.ADMITTED

    def _consume(self, account: Account, check: Check, now: int) -> None:
        for name, cost in check.subjects.items():
            if name in BUCKETS and cost:
                self.buckets[name].state(now, cost)
                self.buckets[name].level += cost
            elif name in LOGS and cost:
                self.logs[state_name(name)].admitted.append((now, cost))
        if check.quota is not None and check.cost:
            period = PERIODS[0 if now < NEXT_PERIOD else 1][0]
            account.used[period] = account.used.get(period, 0) + check.cost


def has_one_log_each(subjects: dict[str, int]) -> bool:
    return len({state_name(name) for name in subjects}) == len(subjects)


seeds = st.builds(Seed, st.integers(1, 3), st.dictionaries(st.sampled_from(["first", "second"]), st.integers(0, 9)))
checks = st.builds(
    Check,
    account=st.sampled_from(["one", "two"]),
    version=st.sampled_from([1, 2, 3, 3, 3]),
    mode=st.sampled_from([*[Mode.CONSUME] * 4, Mode.LOOK, Mode.CONFIRM]),
    cost=st.integers(0, 5),
    subjects=st.dictionaries(st.sampled_from([*NAMES * 3, BROKEN]), st.integers(0, 5), max_size=3).filter(
        has_one_log_each
    ),
    quota=st.one_of(st.none(), st.integers(-1, 40)),
    seed=st.one_of(st.none(), seeds),
    retries=st.one_of(*[st.just(())] * 3, st.lists(st.sampled_from(["r1", "r2", "r3"]), max_size=3).map(tuple)),
    question=st.sampled_from(["q1", "q1", "q2"]),
)
forward = st.one_of(st.integers(0, 3), st.integers(0, 400_000), st.just(100_000))
elapsed = st.one_of(forward, forward, forward, st.integers(-300_000, 0))
calls = st.lists(st.tuples(elapsed, st.lists(checks, min_size=1, max_size=10)), max_size=12)


def asked(check: Check, test: str) -> LimitRequest:
    windows = {**LOGS, BROKEN: (Window(5, 100_000),)}
    subjects = [
        Subject(f"{test} {state_name(name)}", windows.get(name, ()), BUCKETS.get(name)) for name in check.subjects
    ]
    return LimitRequest(
        f"{check.account} {test}",
        check.version,
        check.mode,
        check.cost,
        tuple(subjects),
        None if check.quota is None else Quota(check.quota, PERIODS),
        check.seed,
        Retry(check.retries, f"blob of {check.retries}", check.question) if check.retries else None,
        tuple(check.subjects.values()),
    )


def agrees(decision: Decision, expected: Expected, *, is_repeated: bool) -> bool:
    states = [LimitState(*state) for state in expected.states]
    told = (decision.now_us, decision.used, decision.period, decision.states)
    status = Status.REPEATED if is_repeated else expected.status
    return told == (expected.now, expected.used, expected.period, states) and status is decision.status


@settings(CASES, phases=[Phase.explicit, Phase.reuse, Phase.generate])  # shrinking so many numbers takes minutes
@given(calls)
@pytest.mark.parametrize("broken", [b"", b"short"])
def test_each_check_of_a_call_is_decided_as_if_it_were_alone(
    server: Server, broken: bytes, calls: list[tuple[int, list[Check]]]
) -> None:
    test, model, now = new_id("t"), Model(), START_US
    if broken:
        server.set(f"limit:{test} {BROKEN}", broken)
    else:
        server.hset(f"limit:{test} {BROKEN}", "a", "b")
    for later, batch in calls:
        now += later
        decisions = server.decide([asked(check, test) for check in batch], now)
        for check, decision in zip(batch, decisions, strict=True):
            answers = model.accounts.get(check.account, Account()).answers
            known = [answers[retry][1] for retry in check.retries if retry in answers]
            expected = model.decide(check, now)
            is_repeated = any(answer is expected for answer in known)
            assert agrees(decision, expected, is_repeated=is_repeated), (check, decision, expected)
    for name, account in model.accounts.items():
        for period, used in account.used.items():
            stored = server.hget(f"account:{name} {test}", f"used:{period}")
            assert int(stored or 0) == used
    server.delete(*server.keys(f"*{test}*"))
