"""Pure rules of the check."""

import contextlib
import json
from itertools import permutations, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.check.request import CheckRequest, parse_batch, parse_check, parse_settle
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


VALUES = {
    "key": ['"k"', '"cost"', '"a:\\u0041"', '"\\"cost\\":"'],
    "cost": ["1", "0", "7"],
    "resource": ['""', '"GET /x"', '"cost"'],
    "scopes": ["[]", '["a"]', '["cost","resource"]'],
    "ip": ["null", '"203.0.113.7"'],
    "id": ["null", '"cost"'],
    "explain": ["false", "true"],
}


def written(members: list[tuple[str, str]], separator: str) -> bytes:
    return ("{" + ",".join(f'"{name}"{separator}{value}' for name, value in members) + "}").encode()


def test_every_member_is_taken_once_and_refused_twice() -> None:
    """Any two values of any member beside any other member, in every order, with and without blanks."""
    count = 0
    for name, other in permutations(VALUES, 2):
        for first, second, beside in product(VALUES[name], VALUES[name], VALUES[other]):
            key = [] if "key" in (name, other) else [("key", '"k"')]
            for separator in (":", " : "):
                single = [*key, (name, second), (other, beside)]
                assert parse_check(written(single, separator)).key
                for position in range(len(single) + 1):
                    doubled = [*single[:position], (name, first), *single[position:]]
                    with pytest.raises(MalformedBody, match="twice"):
                        parse_check(written(doubled, separator))
                    count += 1
    assert count > 2_000


def test_every_member_of_a_batch_is_taken_once_and_refused_twice() -> None:
    """Beside checks that have the same member, or do without."""
    count = 0
    for name in VALUES:
        key = [] if name == "key" else [("key", '"k"')]
        for first, second, around in product(VALUES[name], VALUES[name], VALUES[name]):
            single, doubled = [*key, (name, second)], [*key, (name, first), (name, second)]
            for others in (
                [],
                [[*key, (name, around)]],
                [[("key", '"k"')]],
                [[("key", '"k"')], [*key, (name, around)]],
            ):
                for position in range(len(others) + 1):
                    for separator in (":", ": "):
                        texts = [written(members, separator).decode() for members in others]
                        texts.insert(position, written(single, separator).decode())
                        assert len(parse_batch(f'{{"checks":[{",".join(texts)}]}}'.encode()).checks) == len(texts)
                        texts[position] = written(doubled, separator).decode()
                        with pytest.raises(MalformedBody, match="twice"):
                            parse_batch(f'{{"checks":[{",".join(texts)}]}}'.encode())
                        count += 1
    assert count > 1_000


def test_a_doubled_member_is_refused_on_every_route() -> None:
    check = '{"key":"k","cost":1,"cost":1}'
    for body in (f'{{"checks":[{{"key":"k"}},{check}]}}', '{"checks":[{"key":"k"}],"checks":[{"key":"k"}]}'):
        with pytest.raises(MalformedBody, match="twice"):
            parse_batch(body.encode())
    with pytest.raises(MalformedBody, match="twice"):
        parse_settle(b'{"requestId":"req_1","cost":1,"cost":2}')


@pytest.mark.parametrize("address", ["::1%\x00", "::1%eth0", "fe80::1%\u202e", "1.2.3.4/32", "1.2.3.4 ", ""])
def test_an_address_has_no_zone(address: str) -> None:
    with pytest.raises(InvalidBody, match=r"\$\.ip"):
        parse_check(json.dumps({"key": "k", "ip": address}).encode())
    with pytest.raises(InvalidBody, match=r"\$\.checks\[1\]\.ip"):
        parse_batch(json.dumps({"checks": [{"key": "k"}, {"key": "k", "ip": address}]}).encode())


@pytest.mark.parametrize(
    ("written_as", "read_as"),
    [("::ffff:203.0.113.7", "203.0.113.7"), ("2001:DB8::0:1", "2001:db8::1"), ("203.0.113.7", "203.0.113.7")],
)
def test_an_address_is_read_in_one_form(written_as: str, read_as: str) -> None:
    body = {"key": "k", "ip": written_as}
    assert parse_check(json.dumps(body).encode()).ip == read_as
    (check,) = parse_batch(json.dumps({"checks": [body]}).encode()).checks
    assert check.ip == read_as


@pytest.mark.parametrize("character", ["\x00", "\n", "\u2028", "\u202e", "\u0378", "\u200b"])
@pytest.mark.parametrize(("field", "place"), [("resource", "resource"), ("id", "id"), ("scopes", "scopes[1]")])
def test_no_text_of_a_check_holds_what_cannot_be_seen(field: str, place: str, character: str) -> None:
    text = f"a{character}b"
    body = {"key": "k", field: ["a", text] if field == "scopes" else text}
    with pytest.raises(InvalidBody) as refused:
        parse_check(json.dumps(body).encode())
    assert f"U+{ord(character):04X} - at `$.{place}`" in str(refused.value)


def test_texts_of_the_world_are_taken_as_they_are() -> None:
    for text in ("GET /東京\u3000駅", "می\u200cخواهم", "Zu\u0308rich", "👩\u200d👩\u200d👧\u200d👦"):
        request = parse_check(json.dumps({"key": "k", "resource": text, "id": text, "scopes": [text]}).encode())
        assert (request.resource, request.id, request.scopes) == (text, text, [text])
