"""Where a quota is heading, in whole units and seconds."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from portal.plans import Pace, forecast

END = datetime(2026, 12, 1, tzinfo=UTC)
NOW = datetime(2026, 11, 21, tzinfo=UTC)
WEEK = 7 * 86_400


def test_a_steady_pace_goes_on() -> None:
    told = forecast(6000, 10_000, Pace(700, WEEK), NOW, END)
    assert (told.used, told.runs_out_at) == (7000, None)


def test_a_pace_that_is_too_fast_names_the_instant() -> None:
    told = forecast(9000, 10_000, Pace(7000, WEEK), NOW, END)
    assert (told.used, told.runs_out_at) == (19_000, NOW + timedelta(days=1))


def test_a_quota_that_is_used_up_ends_now_and_no_quota_never() -> None:
    assert forecast(10_000, 10_000, Pace(0, WEEK), NOW, END).runs_out_at == NOW
    assert forecast(10**9, None, Pace(10**9, WEEK), NOW, END).runs_out_at is None


@given(
    used=st.integers(0, 10**12),
    limit=st.one_of(st.none(), st.integers(0, 10**12)),
    units=st.integers(0, 10**12),
    seconds=st.integers(0, WEEK),
    now=st.datetimes(datetime(2026, 11, 1), datetime(2026, 12, 1)),  # noqa: DTZ001  # made aware below
)
def test_it_never_falls_and_ends_within_the_period(
    used: int, limit: int | None, units: int, seconds: int, now: datetime
) -> None:
    instant = now.replace(tzinfo=UTC)
    told = forecast(used, limit, Pace(units, seconds), instant, END)
    assert told.used >= used
    if told.runs_out_at is not None:
        assert limit is not None
        assert instant <= told.runs_out_at <= END
        assert told.used >= limit
    elif limit is not None:
        assert told.used < limit
