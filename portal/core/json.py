"""Decode JSON from outside with a bound on its nesting.

A decoder that runs out of stack would answer by how deep its caller stands. So what it gave up on and what is merely
deeper than the bound are refused alike, and the bound lies far from the end of the stack.
"""

from typing import Any

import msgspec

from portal.core.errors import MalformedBody

MAX_NESTING = 200
"""Levels; far beyond what any request needs."""


class NestedTooDeeply(MalformedBody):
    """The JSON nests deeper than MAX_NESTING levels."""


def decode_json(text: bytes) -> Any:
    """Return what the JSON says. Raises NestedTooDeeply, or MalformedBody with what is wrong."""
    try:
        value = msgspec.json.decode(text)
    except RecursionError:
        raise NestedTooDeeply(f"it is nested deeper than {MAX_NESTING} levels") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise MalformedBody(str(error)) from None
    if nests_deeper(value, MAX_NESTING):
        raise NestedTooDeeply(f"it is nested deeper than {MAX_NESTING} levels")
    return value


def nests_deeper(value: Any, levels: int) -> bool:
    """Return whether lists and dictionaries lie deeper in one another than this, without recursion."""
    containers = [value] if isinstance(value, dict | list) else []
    for _ in range(levels):
        inside = (each.values() if isinstance(each, dict) else each for each in containers)
        containers = [item for each in inside for item in each if isinstance(item, dict | list)]
        if not containers:
            return False
    return bool(containers)
