"""Decode JSON from outside with a bound on its nesting.

A decoder that runs out of stack would answer by how deep its caller stands, so the depth is counted before.
"""

import re
from typing import Any

import msgspec

from portal.core.errors import MalformedBody

MAX_NESTING = 200
"""Levels; far beyond what any request needs, and far from the end of the stack."""
_NO_BRACKETS = re.compile(rb'"(?:[^"\\]|\\.)*"?|[^"\[\]{}]+', re.DOTALL)
_OPENING = frozenset(b"[{")


class NestedTooDeeply(MalformedBody):
    """The JSON nests deeper than MAX_NESTING levels."""


def decode_json(text: bytes) -> Any:
    """Return what the JSON says. Raises NestedTooDeeply, or MalformedBody with what is wrong."""
    if nests_deeper(text, MAX_NESTING):
        raise NestedTooDeeply(f"it is nested deeper than {MAX_NESTING} levels")
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise MalformedBody(str(error)) from None


def nests_deeper(text: bytes, levels: int) -> bool:
    """Return whether arrays and objects lie deeper in one another than this, brackets within strings left out."""
    if text.count(b"[") + text.count(b"{") <= levels:
        return False
    depth = 0
    for byte in _NO_BRACKETS.sub(b"", text):
        depth += 1 if byte in _OPENING else -1
        if depth > levels:
            return True
    return False
