"""Pure rules of keys."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.core.errors import Invalid
from portal.keys.models import Key
from portal.keys.rules import (
    KeyLimit,
    KeyStatus,
    check_attributes,
    check_expiry,
    check_ips,
    check_limits,
    check_scopes,
    key_status,
)
from portal.keys.secrets import BASE62, assemble_secret, checksum, display_secret, secret_problem

NOW = datetime(2026, 11, 22, tzinfo=UTC)
PART = "0123456789abcdefghijABCDEFGHIJ"


@given(st.text(BASE62, min_size=30, max_size=30), st.sampled_from(["live", "test"]), st.integers(0, 35), st.data())
def test_any_single_wrong_character_is_noticed(part: str, environment: str, place: int, data: st.DataObject) -> None:
    secret = assemble_secret("pk", environment, part)
    assert secret_problem(secret) is None
    position = len(secret) - 36 + place
    other = data.draw(st.sampled_from([digit for digit in BASE62 if digit != secret[position]]))
    assert secret_problem(secret[:position] + other + secret[position + 1 :]) == "checksum"


def test_the_form_of_a_secret_is_the_contracts() -> None:
    secret = assemble_secret("pk", "live", PART)
    assert len(secret) == len("pk_live_") + 36
    assert secret == f"pk_live_{PART}{checksum('pk_live_' + PART)}"
    assert display_secret(secret) == f"pk_live_0123…{secret[-4:]}"
    for broken in ("", "pk_live_", secret[:-1], secret + "0", secret.replace("live", "prod"), "PK" + secret[2:]):
        assert secret_problem(broken) == "form"


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({}, KeyStatus.ACTIVE),
        ({"paused_at": NOW}, KeyStatus.PAUSED),
        ({"expires_at": NOW}, KeyStatus.EXPIRED),
        ({"expires_at": NOW + timedelta(seconds=1)}, KeyStatus.ACTIVE),
        ({"expires_at": NOW, "paused_at": NOW}, KeyStatus.EXPIRED),
        ({"revoked_at": NOW, "expires_at": NOW, "paused_at": NOW}, KeyStatus.REVOKED),
    ],
)
def test_status(fields: dict[str, datetime], status: KeyStatus) -> None:
    key = Key(id="k", account_id="a", name="n", environment="live", created_by="p", created_at=NOW, **fields)  # type: ignore[arg-type]  # dates by name
    assert key_status(key, NOW) is status


def test_scopes_are_sorted_and_checked() -> None:
    assert check_scopes(["b:read", "a", "b:read"]) == ["a", "b:read"]
    for bad in (["Über"], ["a b"], [":a"], ["a" * 101], ["a"] * 51):
        with pytest.raises(Invalid):
            check_scopes(bad)


def test_address_ranges_are_normalised_and_checked() -> None:
    written = ["203.0.113.0/24", " 2001:db8::1 ", "::ffff:203.0.113.7", "203.0.113.7"]
    assert check_ips(written) == ["2001:db8::1/128", "203.0.113.0/24", "203.0.113.7/32"]
    for bad in (["300.0.0.1"], ["nonsense"], ["203.0.113.9/24"], ["::1%eth0"], ["10.0.0.1"] * 51):
        with pytest.raises(Invalid) as refused:
            check_ips(bad)
        assert refused.value.path == ("allowedIps",)


def test_metadata_and_expiry_have_bounds() -> None:
    assert check_attributes({"a": 1}) == {"a": 1}
    assert check_expiry(None, NOW) is None
    with pytest.raises(Invalid):
        check_attributes({"a": "x" * 5000})
    for bad in (NOW, NOW - timedelta(days=1), datetime(2030, 1, 1)):  # noqa: DTZ001 without a zone on purpose
        with pytest.raises(Invalid):
            check_expiry(bad, NOW)


def test_own_limits_have_bounds() -> None:
    assert check_limits([KeyLimit("hourly", 5, 3_600_000)]) == [{"name": "hourly", "amount": 5, "window_ms": 3_600_000}]
    bad = [
        [KeyLimit("Hourly", 5, 1000)],
        [KeyLimit("a", 0, 1000)],
        [KeyLimit("a", 1, 999)],
        [KeyLimit("a", 1, 86_400_001)],
        [KeyLimit("a", 1, 1000)] * 2,
        [KeyLimit(f"a{n}", 1, 1000) for n in range(6)],
    ]
    for limits in bad:
        with pytest.raises(Invalid):
            check_limits(limits)
