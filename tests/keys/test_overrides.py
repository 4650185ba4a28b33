"""Overrides of limits: what they replace, what they may be, and when they end. No fixture, no clock."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from portal.core.errors import Invalid
from portal.keys import Key, LimitOverride, overrides_of, with_overrides
from portal.keys.rules import check_override, stored_overrides
from portal.plans import Limit

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
LIMITS = (
    Limit("burst", 10, 1000),
    Limit("steady", 20, 1000, algorithm="token_bucket", burst=60),
    Limit("account", 50, 1000, per="account"),
)
ONE = LimitOverride("burst", 40, 2000, None, "a launch", "person_1", NOW, NOW + timedelta(days=1))


def key_with(*overrides: LimitOverride) -> Key:
    stored, ends = stored_overrides(overrides)
    key = Key(id="key_1", account_id="acct_1", name="n", environment="live", created_by="p", created_at=NOW)
    key.overrides, key.overrides_end_at = stored, ends
    return key


def test_an_override_takes_the_place_of_its_limit_alone() -> None:
    burst, steady, account = with_overrides(LIMITS, [ONE, replace(ONE, name="gone")])
    assert (burst.amount, burst.window_ms, burst.algorithm) == (40, 2000, "sliding_window")
    assert (steady, account) == LIMITS[1:]
    _, steady, _ = with_overrides(LIMITS, [replace(ONE, name="steady")])
    assert (steady.algorithm, steady.amount, steady.capacity) == ("token_bucket", 40, 40)
    _, steady, _ = with_overrides(LIMITS, [replace(ONE, name="steady", burst=90)])
    assert steady.capacity == 90


def test_a_limit_of_the_whole_account_stays_even_if_the_plan_came_to_have_one_of_this_name() -> None:
    assert with_overrides(LIMITS, [replace(ONE, name="account")])[2] == LIMITS[2]


def test_what_is_stored_comes_back_until_it_ends() -> None:
    lasting = replace(ONE, name="steady", expires_at=None, burst=5)
    key = key_with(lasting, ONE)
    assert overrides_of(key, NOW) == [ONE, lasting]
    assert key.overrides_end_at == ONE.expires_at
    assert overrides_of(key, NOW + timedelta(days=1)) == [lasting]
    assert key_with(lasting).overrides_end_at is None
    assert overrides_of(key_with(), NOW) == []


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": "burst "}, "name"),
        ({"name": "account"}, "name"),
        ({"amount": 0}, "amount"),
        ({"amount": 1_000_000_001}, "amount"),
        ({"window_ms": 99}, "windowMs"),
        ({"window_ms": 31 * 86_400_000 + 1}, "windowMs"),
        ({"burst": 10}, "burst"),
        ({"name": "steady", "burst": 0}, "burst"),
        ({"reason": ""}, "reason"),
        ({"reason": "x" * 501}, "reason"),
        ({"expires_at": NOW}, "expiresAt"),
    ],
)
def test_what_an_override_may_not_be(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as error:
        check_override(replace(ONE, **changes), LIMITS, NOW)
    assert error.value.path == (field,)


def test_what_an_override_may_be() -> None:
    check_override(ONE, LIMITS, NOW)
    check_override(replace(ONE, name="steady", burst=90, expires_at=None), LIMITS, NOW)


def test_a_plan_without_limits_of_keys_says_so() -> None:
    with pytest.raises(Invalid, match="It has: none"):
        check_override(ONE, LIMITS[2:], NOW)
