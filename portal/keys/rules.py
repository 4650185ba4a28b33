"""Pure rules of keys: the secret's form, its checksum, what a key's fields may hold, its status, what a search is for.

A text shaped like a secret is never sent to PostgreSQL or written anywhere as it is: a search looks up a whole one by
its digest, a long piece of one by what a masked secret shows of it.
"""

import json
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from typing import Any

from portal.core.addresses import InvalidAddress, parse_network
from portal.core.errors import Invalid
from portal.keys.models import Key

BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
RANDOM_LENGTH = 30
CHECKSUM_LENGTH = 6
MAX_SCOPES = 50
MAX_IPS = 50
ATTRIBUTES_BYTES = 4096
MAX_LIMITS = 5
MAX_LIMIT_AMOUNT = 1_000_000
MAX_LIMIT_WINDOW_MS = 24 * 60 * 60 * 1000
_SCOPE = re.compile(r"^[a-z0-9*][a-z0-9_.*-]*(:[a-z0-9*][a-z0-9_.*-]*)*$")
_LIMIT_NAME = re.compile(r"^[a-z0-9][a-z0-9-]{0,29}$")
SHOWN_LENGTH = 4
"""How many characters of a secret's body a masked one shows at each end."""
_SECRET = re.compile(r"^[a-z][a-z0-9]{0,9}_(live|test)_[0-9A-Za-z]{36}$")
_KEY_LIKE = r"(?P<head>[a-z][a-z0-9]{0,9}_(?:live|test)_)(?P<body>[0-9A-Za-z]{5,})"
_CREDENTIAL_LIKE = r"(?P<kind>pat|svc|whsec)_(?![0-9A-HJKMNP-TV-Z]{26}\b)[\w-]{9,}"
_RANDOM_LIKE = r"(?=[a-z0-9]*[A-Z])(?=[A-Z0-9]*[a-z])(?=[A-Za-z]*[0-9])[0-9A-Za-z]{20,}"
_SECRET_LIKE = re.compile(rf"(?<![0-9A-Za-z])(?:{_KEY_LIKE}|{_CREDENTIAL_LIKE}|{_RANDOM_LIKE})", re.ASCII)
_NAMED_SECRET = re.compile(rf"(?<![0-9A-Za-z])(?:{_KEY_LIKE}|{_CREDENTIAL_LIKE})", re.ASCII)
"""The same without guessing at random characters: they may as well be a cursor or a part of an endpoint."""


@dataclass(frozen=True, slots=True)
class KeyLimit:
    """A limit of a key's own, beside its plan's: at most `amount` units in any `window_ms`."""

    name: str
    amount: int
    window_ms: int


class KeyStatus(StrEnum):
    ACTIVE = "active"
    PAUSED = "paused"
    EXPIRED = "expired"
    REVOKED = "revoked"


def checksum(text: str) -> str:
    """Return the CRC-32 in six base62 digits: it reveals a mistyped key without a look-up, and nothing else."""
    number = zlib.crc32(text.encode())
    digits = ""
    for _ in range(CHECKSUM_LENGTH):
        number, rest = divmod(number, 62)
        digits = BASE62[rest] + digits
    return digits


def assemble_secret(prefix: str, environment: str, random_part: str) -> str:
    """Return `{prefix}_{live|test}_{30 base62}{6 base62 checksum}`."""
    text = f"{prefix}_{environment}_{random_part}"
    return text + checksum(text)


def secret_problem(secret: str) -> str | None:
    """Return why this cannot be one of our secrets, or None if it can."""
    if not _SECRET.fullmatch(secret):
        return "form"
    return None if checksum(secret[:-CHECKSUM_LENGTH]) == secret[-CHECKSUM_LENGTH:] else "checksum"


def secret_digest(secret: str) -> bytes:
    """Return what is stored of a secret. 178 random bits need neither salt nor pepper."""
    return sha256(secret.encode()).digest()


def display_secret(secret: str) -> str:
    """Return `pk_live_ab12…wxyz`: enough to recognize, too little to use."""
    head, body = secret[: -RANDOM_LENGTH - CHECKSUM_LENGTH], secret[-RANDOM_LENGTH - CHECKSUM_LENGTH :]
    return f"{head}{body[:SHOWN_LENGTH]}…{body[-SHOWN_LENGTH:]}"


@dataclass(frozen=True, slots=True)
class KeySearch:
    """Search by `text` in names and masked secrets, or by a secret: its digest, and the beginning of its mask."""

    text: str = ""
    digest: bytes | None = None
    mask: str | None = None


def parse_search(text: str) -> KeySearch:
    """Return what to look for. Of several secrets in one text, the first counts."""
    found = _SECRET_LIKE.search(text)
    if found is None:
        return KeySearch(text.strip())
    piece = found[0]
    is_piece = found["head"] is not None and secret_problem(piece) == "form"
    return KeySearch(
        digest=secret_digest(piece), mask=found["head"] + found["body"][:SHOWN_LENGTH] if is_piece else None
    )


def mask_secrets(text: str, *, is_guessing: bool = True) -> str:
    """Return the text with each secret in it as it may be shown: pk_live_ab12…wxyz, or only how it begins."""
    return (_SECRET_LIKE if is_guessing else _NAMED_SECRET).sub(_masked, text)


def has_secret(text: str) -> bool:
    """Return whether something in the text is shaped like a secret, or like most of one."""
    return _SECRET_LIKE.search(text) is not None


def _masked(found: re.Match[str]) -> str:
    if found["head"] is not None:
        whole = secret_problem(found[0]) != "form"
        return display_secret(found[0]) if whole else found["head"] + found["body"][:SHOWN_LENGTH] + "…"
    return f"{found['kind']}_…" if found["kind"] is not None else found[0][:SHOWN_LENGTH] + "…"


def key_status(key: Key, now: datetime) -> KeyStatus:
    if key.revoked_at is not None:
        return KeyStatus.REVOKED
    if key.expires_at is not None and now >= key.expires_at:
        return KeyStatus.EXPIRED
    return KeyStatus.PAUSED if key.paused_at is not None else KeyStatus.ACTIVE


def check_scopes(scopes: Sequence[str]) -> list[str]:
    """Return the scopes sorted, without duplicates. Raises Invalid."""
    if len(scopes) > MAX_SCOPES:
        raise Invalid(f"A key has at most {MAX_SCOPES} scopes.", path=("scopes",))
    for scope in scopes:
        if len(scope) > 100 or not _SCOPE.fullmatch(scope):
            raise Invalid(f"{scope[:100]!r} is not a scope.", hint="Write it like search:read.", path=("scopes",))
    return sorted(set(scopes))


def check_ips(ranges: Sequence[str]) -> list[str]:
    """Return addresses and networks in their canonical spelling. Raises Invalid."""
    if len(ranges) > MAX_IPS:
        raise Invalid(f"A key has at most {MAX_IPS} address ranges.", path=("allowedIps",))
    try:
        return sorted({str(parse_network(text)) for text in ranges})
    except InvalidAddress as error:
        raise Invalid(f"{error}", hint=error.hint, path=("allowedIps",)) from None


def check_attributes(attributes: dict[str, Any]) -> dict[str, Any]:
    """Return a JSON object of at most 4 KiB. Raises Invalid."""
    if len(json.dumps(attributes).encode()) > ATTRIBUTES_BYTES:
        raise Invalid(f"Metadata is larger than {ATTRIBUTES_BYTES} bytes.", path=("metadata",))
    return attributes


def check_limits(limits: Sequence[KeyLimit]) -> list[dict[str, str | int]]:
    """Return the limits as they are stored. Raises Invalid."""
    if len(limits) > MAX_LIMITS or len({limit.name for limit in limits}) < len(limits):
        raise Invalid(f"A key has at most {MAX_LIMITS} limits of its own, each with another name.", path=("limits",))
    for limit in limits:
        if not _LIMIT_NAME.fullmatch(limit.name):
            raise Invalid(f"{limit.name[:50]!r} is no name of a limit.", hint="Write it like hourly.", path=("limits",))
        if not 1 <= limit.amount <= MAX_LIMIT_AMOUNT or not 1000 <= limit.window_ms <= MAX_LIMIT_WINDOW_MS:
            raise Invalid("A limit is 1 to 1,000,000 units in 1 second to 1 day.", path=("limits",))
    return [{"name": limit.name, "amount": limit.amount, "window_ms": limit.window_ms} for limit in limits]


def check_expiry(expires_at: datetime | None, now: datetime) -> datetime | None:
    if expires_at is not None and expires_at.tzinfo is None:
        raise Invalid("The expiry has no time zone.", hint="Write it like 2027-01-31T00:00:00Z.", path=("expiresAt",))
    if expires_at is not None and expires_at <= now:
        raise Invalid("The expiry lies in the past.", path=("expiresAt",))
    return expires_at
