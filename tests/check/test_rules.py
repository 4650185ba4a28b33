"""Pure rules of the check."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.check.request import CheckRequest, parse_check
from portal.check.rules import has_scopes, is_ip_allowed
from portal.core.errors import InvalidBody, MalformedBody


@pytest.mark.parametrize(
    ("granted", "wanted", "expected"),
    [
        (["a:read"], ["a:read"], True),
        (["a:read"], ["a:write"], False),
        (["a:*"], ["a:write", "a:read"], True),
        (["a:*"], ["ab:write"], False),
        (["*"], ["anything"], True),
        ([], ["a"], False),
        (["a"], [], True),
    ],
)
def test_scopes(granted: list[str], wanted: list[str], expected: bool) -> None:
    assert has_scopes(granted, wanted) is expected


@pytest.mark.parametrize(
    ("address", "ranges", "expected"),
    [
        ("203.0.113.7", ("203.0.113.7/32",), True),
        ("203.0.113.8", ("203.0.113.7/32",), False),
        ("::ffff:203.0.113.7", ("203.0.113.0/24",), True),
        ("2001:db8::1", ("2001:db8::/32", "10.0.0.0/8"), True),
        (None, ("10.0.0.0/8",), False),
    ],
)
def test_addresses(address: str | None, ranges: tuple[str, ...], expected: bool) -> None:
    assert is_ip_allowed(address, ranges) is expected


@pytest.mark.parametrize(
    "body",
    [
        b'{"key": "k", "cost": -1}',
        b'{"key": "k", "cost": 1000000000}',
        b'{"key": "k", "cost": "1"}',
        b'{"key": "k", "cost": 1.5}',
        b'{"key": "k", "unknown": 1}',
        b'{"key": 5}',
        b"{}",
        b"[]",
        b'{"key": "k", "ip": "not an address"}',
        b'{"key": "k", "id": ""}',
        b'{"key": "k", "resource": "a\\u0000b"}',
    ],
)
def test_a_value_that_is_not_acceptable_is_invalid(body: bytes) -> None:
    with pytest.raises(InvalidBody):
        parse_check(body)


@pytest.mark.parametrize("body", [b"", b"{", b'{"key": "k", "cost": NaN}', b'{"key": "\xff"}', b'{"key"'])
def test_what_is_not_json_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedBody):
        parse_check(body)


@given(st.binary(max_size=200))
def test_any_bytes_are_parsed_or_refused(body: bytes) -> None:
    with contextlib.suppress(InvalidBody, MalformedBody):
        assert isinstance(parse_check(body), CheckRequest)
