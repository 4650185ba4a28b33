"""Whether JSON is taken does not depend on how deep its reader stands."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from portal.core.errors import MalformedBody
from portal.core.json import MAX_NESTING, DoubledMember, NestedTooDeeply, decode_json, nests_deeper


def nested(levels: int) -> bytes:
    return b"[" * levels + b"]" * levels


def from_deep(frames: int, call: Callable[[], Any]) -> Any:
    """Call it with so many frames more below."""
    return from_deep(frames - 1, call) if frames else call()


@pytest.mark.parametrize("frames", [0, 300, 600])
def test_the_bound_is_the_same_from_everywhere(frames: int) -> None:
    assert from_deep(frames, lambda: decode_json(nested(MAX_NESTING))) is not None
    for levels in (MAX_NESTING + 1, 900, 1_000, 100_000):
        with pytest.raises(NestedTooDeeply):
            from_deep(frames, partial(decode_json, nested(levels)))


@pytest.mark.parametrize(
    ("value", "deeper"),
    [
        (["[[[[", {"]": "{{{"}], False),
        ([[["\\"]]], False),
        ([[[{"a": 1}]]], True),
        ([[[[]]]], True),
        ([[], [], [], [], []], False),
        ("[[[[[[", False),
        (7, False),
        (None, False),
    ],
)
def test_only_containers_are_levels(value: Any, deeper: bool) -> None:
    assert nests_deeper(value, 3) == deeper


@pytest.mark.parametrize("text", [b"", b"{", b"\xff", b'"\xff"', b"nul", b"[1,]"])
def test_what_is_no_json(text: bytes) -> None:
    with pytest.raises(MalformedBody):
        decode_json(text)


@pytest.mark.parametrize(
    "text",
    [
        b'{"a":1,"a":1}',
        b'{"a":1,"\\u0061":2}',
        b'[{"b":{"a":1, "c":2, "a" : null}}]',
        b'{"":1,"":2}',
        '{"é":1,"\\u00e9":2}'.encode(),
        b'{"n":' + b"9" * 18 + b',"n":1e5}',
    ],
)
def test_a_member_that_stands_twice_is_refused_wherever_it_is(text: bytes) -> None:
    with pytest.raises(DoubledMember, match="twice"):
        decode_json(text)


@pytest.mark.parametrize(
    "text", [b'{"a":1,"A":2}', b'[{"a":1},{"a":2}]', b'{"a":{"a":{"a":[]}}}', b'{"a":"a","b":"\\"a\\":"}']
)
def test_equal_names_in_different_objects_are_no_doubles(text: bytes) -> None:
    assert decode_json(text) is not None
