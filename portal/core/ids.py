"""Identifiers: a prefix that names the kind, then 26 characters of Crockford base32 that sort by time."""

import secrets
from typing import NewType

from portal.core.clock import to_microseconds, utc_now

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
BODY_LENGTH = 26

AccountId = NewType("AccountId", str)
PersonId = NewType("PersonId", str)
KeyId = NewType("KeyId", str)
SecretId = NewType("SecretId", str)
PlanId = NewType("PlanId", str)

_VALUES = {character: value for value, character in enumerate(ALPHABET)}
_PAIRS = [a + b for a in ALPHABET for b in ALPHABET]


def new_id(prefix: str) -> str:
    """Make a new id: 56 bits of microseconds, 72 random bits."""
    return f"{prefix}_{encode_128(to_microseconds(utc_now()) << 72 | secrets.randbits(72))}"


def encode_128(number: int) -> str:
    """Return 26 base32 characters for a number below 2**128; texts sort as their numbers do."""
    pairs = _PAIRS
    return "".join([pairs[number >> shift & 1023] for shift in range(120, -1, -10)])


def encode_30(number: int) -> str:
    """Return the 6 characters for a number below 2**30, as `encode_128` would end."""
    return _PAIRS[number >> 20] + _PAIRS[number >> 10 & 1023] + _PAIRS[number & 1023]


def decode_128(text: str) -> int:
    """Return the number that `encode_128` wrote. Raises ValueError for anything else."""
    if len(text) != BODY_LENGTH:
        raise ValueError(f"expected {BODY_LENGTH} characters")
    number = 0
    for character in text:
        value = _VALUES.get(character)
        if value is None:
            raise ValueError(f"{character!r} is not a base32 digit")
        number = number << 5 | value
    if number >> 128:
        raise ValueError("too large")
    return number
