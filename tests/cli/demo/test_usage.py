"""The usage of the demo: repeatable, plausible, within what its plans allow."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from portal.cli.demo.fixtures import CONTOSO
from portal.cli.demo.state_file import DemoState, KeyHistory, KeySpan
from portal.cli.demo.usage import OFFICE, STEADY, usage_of
from portal.core.clock import to_microseconds
from portal.usage import UsageRecord
from portal.usage.records import occurred_at

MADE = datetime(2026, 11, 22, 10, 17, 3, tzinfo=UTC)
FOR_EVER = (0, 1 << 55)


def kept(*histories: KeyHistory, seed: int = 7) -> DemoState:
    return DemoState(to_microseconds(MADE), seed, "", "", {}, {}, [*histories])


def history(daily: int, rhythm: str, *spans: KeySpan) -> KeyHistory:
    return KeyHistory("acct_1", "key_1", "live", daily, rhythm, [*spans] or [KeySpan("sec_1", *FOR_EVER, "VALID")])


@pytest.fixture(scope="module")
def office() -> list[UsageRecord]:
    return [*usage_of(kept(history(300, OFFICE)))]


def test_the_same_history_gives_the_same_records(office: list[UsageRecord]) -> None:
    assert [*usage_of(kept(history(300, OFFICE)))] == office
    assert [*usage_of(kept(history(300, OFFICE), seed=8))] != office
    assert len({record.request_id for record in office}) == len(office)


def test_it_covers_ninety_days_and_ends_an_hour_ago(office: list[UsageRecord]) -> None:
    times = [occurred_at(record.request_id) for record in office]
    assert MADE - timedelta(days=90, hours=6) < times[0] < MADE - timedelta(days=89)
    assert MADE - timedelta(hours=4) < times[-1] < MADE - timedelta(hours=1)
    assert all(f"{at:%Y-%m}" == record.period for at, record in zip(times, office, strict=True))


def test_it_has_a_daily_and_a_weekly_rhythm(office: list[UsageRecord]) -> None:
    times = [occurred_at(record.request_id) for record in office]
    hours, days = Counter(at.hour for at in times), Counter(at.weekday() for at in times)
    assert min(hours[hour] for hour in range(9, 17)) > 5 * max(hours[hour] for hour in range(4))
    assert min(days[day] for day in range(5)) > 2 * max(days[5], days[6])
    steady = Counter(occurred_at(record.request_id).weekday() for record in usage_of(kept(history(300, STEADY))))
    assert max(steady.values()) < 1.5 * min(steady.values())


def test_some_calls_are_limited_and_several_endpoints_are_called(office: list[UsageRecord]) -> None:
    codes = Counter(record.code for record in office)
    assert codes.keys() == {"VALID", "RATE_LIMITED"}
    assert 0.001 < codes["RATE_LIMITED"] / len(office) < 0.05
    assert len({record.resource for record in office}) == 5
    assert all(record.cost >= 1 for record in office)


def test_a_key_is_told_the_code_of_its_time() -> None:
    revoked_us = to_microseconds(MADE - timedelta(days=20))
    spans = [KeySpan("sec_1", 0, revoked_us, "VALID"), KeySpan("sec_1", revoked_us, 1 << 55, "REVOKED")]
    for record in usage_of(kept(history(50, OFFICE, *spans))):
        is_over = to_microseconds(occurred_at(record.request_id)) >= revoked_us
        assert (record.code == "REVOKED") is is_over


def test_where_two_secrets_verify_both_are_used() -> None:
    rotated_us = to_microseconds(MADE - timedelta(days=2))
    spans = [KeySpan("sec_old", *FOR_EVER, "VALID"), KeySpan("sec_new", rotated_us, 1 << 55, "VALID")]
    uses = [(record.secret_id, record.request_id) for record in usage_of(kept(history(200, OFFICE, *spans)))]
    assert {secret for secret, _ in uses[-50:]} == {"sec_old", "sec_new"}
    assert {secret for secret, _ in uses[:50]} == {"sec_old"}


def test_the_free_account_stays_far_below_its_quota() -> None:
    live = [history(key.daily_calls, key.rhythm) for key in CONTOSO.keys if key.environment == "live"]
    units: Counter[str] = Counter()
    for record in usage_of(kept(*live)):
        units[record.period] += record.cost
    assert max(units.values()) < 7_000
