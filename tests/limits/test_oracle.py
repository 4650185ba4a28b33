"""The algorithms against exact models in Python, at any instants, costs and jumps of the clock: one check a call."""

from hypothesis import given
from hypothesis import strategies as st

from portal.core.ids import new_id
from portal.limits import Bucket, Decision, LimitRequest, Mode, Status, Subject, Window
from tests.limits.oracle import CASES, LIFE, MAX_SHORT, SCRIPT, START_US, BucketModel, Server, WindowModel


def decide(server: Server, subject: Subject, now: int, cost: int) -> Decision:
    asked = LimitRequest("none", 0, Mode.CONSUME, cost, (subject,), None)
    return server.decide([asked], now)[0]


steps = st.lists(
    st.tuples(st.one_of(st.integers(0, 3), st.integers(0, 400_000), st.just(100_000)), st.integers(0, 7)), max_size=60
)


@CASES
@given(steps, st.integers(1, 12), st.integers(1, 20))
def test_sliding_windows_agree_with_the_model(
    server: Server, steps: list[tuple[int, int]], short: int, long: int
) -> None:
    models = [WindowModel(short, 100_000), WindowModel(long, 700_000)]
    subject = Subject(new_id("t"), tuple(Window(model.amount, model.length) for model in models))
    now = START_US
    for elapsed, cost in steps:
        now += elapsed
        expected = [model.state(now, cost) for model in models]
        decision = decide(server, subject, now, cost)
        assert [(s.used, s.reset_us, s.retry_us) for s in decision.states] == expected
        is_admitted = all(wait == -1 for _, _, wait in expected)
        assert decision.status is (Status.ADMITTED if is_admitted else Status.RATE_LIMITED)
        if is_admitted and cost:
            for model in models:
                model.admitted.append((now, cost))
    server.delete(f"limit:{subject.name}")


@CASES
@given(steps, st.integers(1, 12), st.sampled_from([1, 3, 7, 10]), st.sampled_from([100_000, 99_991]))
def test_the_token_bucket_agrees_with_the_model(
    server: Server, steps: list[tuple[int, int]], capacity: int, amount: int, window: int
) -> None:
    model = BucketModel(Bucket(capacity, amount, window))
    subject = Subject(new_id("t"), bucket=model.bucket)
    now = START_US
    for elapsed, cost in steps:
        now += elapsed
        expected = model.state(now, cost)
        decision = decide(server, subject, now, cost)
        state = decision.states[0]
        assert (state.used, state.reset_us, state.retry_us) == expected
        if expected[2] == -1:
            model.level += cost
    server.delete(f"limit:{subject.name}")


@CASES
@given(st.lists(st.tuples(st.integers(-3_600_000_000, 400_000), st.integers(1, 4)), max_size=40))
def test_a_jumping_clock_never_admits_too_much_and_never_blocks_for_longer(
    server: Server, steps: list[tuple[int, int]]
) -> None:
    model = WindowModel(5, 300_000)
    subject = Subject(new_id("t"), (Window(5, 300_000),))
    now = START_US
    for elapsed, cost in steps:
        now += elapsed
        newest = max((at for at, _ in model.admitted), default=now)
        model.go_back(max(0, newest - now))
        used, reset, wait = model.state(now, cost)
        state = decide(server, subject, now, cost).states[0]
        assert (state.used, state.reset_us, state.retry_us) == (used, reset, wait)
        assert reset <= 300_000
        if wait == -1:
            model.admitted.append((now, cost))
    server.delete(f"limit:{subject.name}")


def test_totals_that_outgrow_their_bytes_begin_anew(server: Server) -> None:
    subject = Subject(new_id("t"), (Window(10**9, 1_000_000),))
    now = START_US
    used = []
    for _ in range(300):
        now += 10_000
        used.append(decide(server, subject, now, 10**6).states[0].used)
    raw = server.get(f"limit:{subject.name}")
    assert isinstance(raw, bytes)
    grown = raw[:8] + (2**46 + int.from_bytes(raw[8:14], "big")).to_bytes(6, "big") + raw[14:20]
    for start in range(20, len(raw), 12):
        total = int.from_bytes(raw[start + 6 : start + 12], "big") + 2**46
        grown += raw[start : start + 6] + total.to_bytes(6, "big")
    server.set(f"limit:{subject.name}", grown, px=60_000)
    for _ in range(300):
        now += 10_000
        used.append(decide(server, subject, now, 10**6).states[0].used)
    assert set(used[100:]) == {99 * 10**6}
    settled = server.get(f"limit:{subject.name}")
    assert isinstance(settled, bytes)
    assert int.from_bytes(settled[-6:], "big") < 2**46


def test_a_long_log_is_searched_in_place_and_cut_in_time(server: Server) -> None:
    assert MAX_SHORT in SCRIPT
    assert SCRIPT.count(LIFE) == 2
    subject = Subject(new_id("t"), (Window(10**9, 1_000_000), Window(5, 1_000)))
    now, sizes = START_US, []
    for _ in range(700):
        now += 1_000
        assert decide(server, subject, now, 1).status is Status.ADMITTED
        sizes.append(server.strlen(f"limit:{subject.name}"))
    for _ in range(700):
        now += 2_000
        assert decide(server, subject, now, 1).states[0].used in range(499, 1000)
        sizes.append(server.strlen(f"limit:{subject.name}"))
    assert max(sizes) <= 20 + 12 * (2 * 1000 + 1)
    assert server.pttl(f"limit:{subject.name}") > 0
