"""Decode JSON from outside: no member twice in an object, and a bound on its nesting.

Of two members of one name most decoders take the last and some the first (RFC 8259, 4), so that whoever checked such a
text before us may have read another one.

A decoder that runs out of stack would answer by how deep its caller stands. So what it gave up on and what is merely
deeper than the bound are refused alike, and the bound lies far from the end of the stack.
"""

import json
from typing import Any

import msgspec

from portal.core.errors import MalformedBody

MAX_NESTING = 200
"""Levels; far beyond what any request needs."""


class NestedTooDeeply(MalformedBody):
    """The JSON nests deeper than MAX_NESTING levels."""


class DoubledMember(MalformedBody):
    """An object of the JSON has two members of one name."""


def decode_json(text: bytes) -> Any:
    """Return what the JSON says. Raises NestedTooDeeply, DoubledMember, or MalformedBody with what is wrong."""
    try:
        value = msgspec.json.decode(text)
    except RecursionError:
        raise NestedTooDeeply(f"it is nested deeper than {MAX_NESTING} levels") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise MalformedBody(str(error)) from None
    if nests_deeper(value, MAX_NESTING):
        raise NestedTooDeeply(f"it is nested deeper than {MAX_NESTING} levels")
    refuse_doubled_members(text)
    return value


def refuse_doubled_members(text: bytes) -> None:
    """Raise DoubledMember where an object has two members of one name. `text` is JSON: it has been decoded before."""
    _pairs_decoder.decode(text.decode())


def nests_deeper(value: Any, levels: int) -> bool:
    """Return whether lists and dictionaries lie deeper in one another than this, without recursion."""
    containers = [value] if isinstance(value, dict | list) else []
    for _ in range(levels):
        inside = (each.values() if isinstance(each, dict) else each for each in containers)
        containers = [item for each in inside for item in each if isinstance(item, dict | list)]
        if not containers:
            return False
    return bool(containers)


def _refuse_doubled(pairs: list[tuple[str, Any]]) -> None:
    names: set[str] = set()
    for name, _ in pairs:
        if name in names:
            raise DoubledMember(f"it has the member {name[:50]!a} twice")
        names.add(name)


# Numbers stay text: only names matter here, and a number of many digits takes long to read.
_pairs_decoder = json.JSONDecoder(object_pairs_hook=_refuse_doubled, parse_int=str, parse_float=str)
