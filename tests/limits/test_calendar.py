"""The quota of a billing period against an exact model: at any instants, costs, zones, and at each edge of a month.

The script under test is the product's own, with nothing changed but where it takes the time from.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import cast
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from portal.core.clock import from_microseconds, to_microseconds
from portal.core.embedded import EmbeddedServices
from portal.core.ids import new_id
from portal.limits import Decision, LimitRequest, Mode, Quota, Seed, Status, Subject, Window
from portal.limits.requests import decode_decisions, encode_call
from portal.plans import AccountPeriods, first_period
from tests.limits.oracle import SCRIPT, Server

CASES = settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], print_blob=True
)
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "Asia/Kathmandu")
DAY_US = 86_400_000_000
BEGINNINGS = (
    datetime(2026, 3, 28, 23, tzinfo=UTC),  # clocks go forward in Europe
    datetime(2026, 10, 24, 22, tzinfo=UTC),  # and back
    datetime(2026, 12, 31, 22, 59, 59, tzinfo=UTC),  # the year ends, in Berlin first
    datetime(2024, 2, 29, 12, tzinfo=UTC),
    datetime(2011, 12, 29, 9, tzinfo=UTC),  # Samoa leaves out a day
)


@dataclass
class Model:
    """An account with a quota of so many units a local month. The name of the month is all that counts."""

    zone: str
    amount: int
    used: Counter[str] = field(default_factory=Counter)

    def month(self, now: int) -> str:
        return f"{from_microseconds(now).astimezone(ZoneInfo(self.zone)):%Y-%m}"

    def decide(self, now: int, cost: int) -> tuple[Status, int]:
        """What is answered, and the units used before."""
        month = self.month(now)
        used = self.used[month]
        if used + cost > self.amount:
            return Status.QUOTA_EXCEEDED, used
        self.used[month] += cost
        return Status.ADMITTED, used


@dataclass
class Asker:
    """Asks as a process does: with the adjacent periods of its last look-up, anew once it is told STALE or UNSEEDED."""

    server: Server
    zone: str
    amount: int
    account: str = field(default_factory=lambda: new_id("acct"))
    quota: Quota | None = None
    stale: int = 0
    ahead_us: int = 0
    """How far the clock that the periods are read by, PostgreSQL's, is ahead of Redis's."""

    def decide(self, now: int, cost: int, subjects: tuple[Subject, ...] = ()) -> Decision:
        if self.quota is None:
            self.quota = self._read(now)
        decision = self._ask(now, cost, subjects, None)
        if decision.status is Status.STALE:
            self.stale += 1
            self.quota = self._read(now)
            decision = self._ask(now, cost, subjects, None)
        if decision.status is Status.UNSEEDED:
            decision = self._ask(now, cost, subjects, Seed(1, {name: 0 for name, _, _ in self.quota.periods}))
        return decision

    def _read(self, now: int) -> Quota:
        seen = from_microseconds(now + self.ahead_us)
        periods = AccountPeriods((first_period(seen, self.zone),)).near(seen)
        return Quota(self.amount, tuple((p.name, to_microseconds(p.start), to_microseconds(p.end)) for p in periods))

    def _ask(self, now: int, cost: int, subjects: tuple[Subject, ...], seed: Seed | None) -> Decision:
        request = LimitRequest(self.account, 1, Mode.CONSUME, cost, subjects, self.quota, seed)
        call = encode_call((b"EVAL", SCRIPT), [request], 0, now // 1_000_000, now % 1_000_000)
        return decode_decisions(self.server.ask(call))[1][0]


@pytest.fixture(scope="session")
def server(services: EmbeddedServices) -> Iterator[Server]:
    client = cast(Server, Server.from_url(services.redis_urls[0]))
    yield client
    client.close()


@dataclass(frozen=True)
class Edge:
    """To this instant from the end of the month, unless it is over already."""

    from_end_us: int


steps = st.lists(
    st.tuples(
        st.one_of(st.integers(0, 3), st.integers(0, 40 * DAY_US), st.sampled_from([Edge(-1), Edge(0), Edge(1)])),
        st.integers(0, 7),
    ),
    max_size=40,
)


def moved(now: int, step: int | Edge, zone: str) -> int:
    if isinstance(step, int):
        return now + step
    end = to_microseconds(first_period(from_microseconds(now), zone).end)
    return max(now, end + step.from_end_us)


@CASES
@given(steps, st.sampled_from(ZONES), st.sampled_from(BEGINNINGS), st.integers(1, 20))
@example([(Edge(-1), 5), (Edge(0), 5), (0, 1)], "Europe/Berlin", BEGINNINGS[0], 5)
@example([(Edge(0), 3)] * 13, "Pacific/Apia", BEGINNINGS[4], 4)
def test_a_quota_agrees_with_the_model(
    server: Server, steps: list[tuple[int | Edge, int]], zone: str, beginning: datetime, amount: int
) -> None:
    model, asker, now = Model(zone, amount), Asker(server, zone, amount), to_microseconds(beginning)
    for step, cost in steps:
        now = moved(now, step, zone)
        decision = asker.decide(now, cost)
        assert (decision.status, decision.used) == model.decide(now, cost)
        assert asker.quota is not None
        name, start, end = asker.quota.periods[decision.period]
        assert name == model.month(now)
        assert start <= now < end
    server.delete(f"account:{asker.account}")


@pytest.mark.parametrize("zone", ZONES)
def test_the_last_microsecond_and_the_first_belong_to_different_months(server: Server, zone: str) -> None:
    asker = Asker(server, zone, 2)
    beginning = datetime(2026, 12, 15, tzinfo=UTC)
    end = to_microseconds(first_period(beginning, zone).end)
    told = [asker.decide(at, 2) for at in (to_microseconds(beginning), end - 1, end, end + 1)]
    assert [one.status for one in told] == [
        Status.ADMITTED,
        Status.QUOTA_EXCEEDED,
        Status.ADMITTED,
        Status.QUOTA_EXCEEDED,
    ]
    assert [one.period for one in told] == [0, 0, 1, 1]
    assert asker.stale == 0
    server.delete(f"account:{asker.account}")


def test_two_months_are_known_ahead_and_the_third_asks_for_a_look_up(server: Server) -> None:
    asker = Asker(server, "Europe/Berlin", 1)
    first = datetime(2026, 11, 5, tzinfo=UTC)
    for months, stale in ((0, 0), (1, 0), (2, 1), (3, 1)):
        now = to_microseconds(first + timedelta(days=31 * months))
        assert asker.decide(now, 1).status is Status.ADMITTED
        assert asker.decide(now, 1).status is Status.QUOTA_EXCEEDED
        assert asker.stale == stale
    server.delete(f"account:{asker.account}")


def test_a_denial_by_a_window_at_the_edge_uses_nothing_of_either_month(server: Server) -> None:
    asker = Asker(server, "UTC", 10)
    subjects = (Subject(new_id("t"), (Window(3, 1_000_000),)),)
    end = to_microseconds(datetime(2027, 1, 1, tzinfo=UTC))
    assert asker.decide(end - 10, 3, subjects).status is Status.ADMITTED
    assert asker.decide(end - 1, 1, subjects).status is Status.RATE_LIMITED
    denied = asker.decide(end, 1, subjects)
    assert (denied.status, denied.used, denied.period) == (Status.RATE_LIMITED, 0, 1)
    assert asker.decide(end + 1_000_000, 3, subjects).used == 0
    server.delete(f"account:{asker.account}", f"limit:{subjects[0].name}")


def test_a_clock_that_goes_back_into_the_month_before_finds_its_count(server: Server) -> None:
    asker = Asker(server, "UTC", 2)
    end = to_microseconds(datetime(2027, 1, 1, tzinfo=UTC))
    told = [asker.decide(at, 1).status for at in (end - 2, end - 1, end, end - 1, end + 1, end - 1, end + 2)]
    assert told == [
        Status.ADMITTED,
        Status.ADMITTED,
        Status.ADMITTED,
        Status.QUOTA_EXCEEDED,
        Status.ADMITTED,
        Status.QUOTA_EXCEEDED,
        Status.QUOTA_EXCEEDED,
    ]
    server.delete(f"account:{asker.account}")


@pytest.mark.parametrize("ahead_us", [-3_600_000_000, -1, 1, 3_600_000_000])
def test_a_database_whose_clock_is_elsewhere_changes_no_month(server: Server, ahead_us: int) -> None:
    """An hour ahead it is in the next month already, and Redis still counts the old one, without a look-up more."""
    end = to_microseconds(datetime(2027, 1, 1, tzinfo=UTC))
    for now in (end - 1, end):
        asker = Asker(server, "UTC", 1, ahead_us=ahead_us)
        decision = asker.decide(now, 1)
        assert asker.quota is not None
        month = asker.quota.periods[decision.period][0]
        assert (decision.status, month, asker.stale) == (Status.ADMITTED, "2027-01" if now == end else "2026-12", 0)
        assert asker.decide(now, 1).status is Status.QUOTA_EXCEEDED
        server.delete(f"account:{asker.account}")
