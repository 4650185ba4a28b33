"""Secrets of keys: their form and checksum, how they are shown, how they are found in a text; draw one and store it.

A text shaped like a secret is never sent to PostgreSQL or written anywhere as it is: a search looks up a whole one by
its digest, a long piece of one by what a masked secret shows of it. Only the digest is stored.
"""

import re
import secrets
import zlib
from dataclasses import dataclass
from hashlib import sha256

from portal.core.database import Tx
from portal.core.ids import new_id
from portal.keys.models import Key, KeySecret

BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
RANDOM_LENGTH = 30
CHECKSUM_LENGTH = 6
SHOWN_LENGTH = 4
"""How many characters of a secret's body a masked one shows at each end."""
_SECRET = re.compile(r"^[a-z][a-z0-9]{0,9}_(live|test)_[0-9A-Za-z]{36}$")
_KEY_LIKE = r"(?P<head>[a-z][a-z0-9]{0,9}_(?:live|test)_)(?P<body>[0-9A-Za-z]{5,})"
_CREDENTIAL_LIKE = r"(?P<kind>pat|svc|whsec)_(?![0-9A-HJKMNP-TV-Z]{26}\b)[\w-]{9,}"
_RANDOM_LIKE = r"(?=[a-z0-9]*[A-Z])(?=[A-Z0-9]*[a-z])(?=[A-Za-z]*[0-9])[0-9A-Za-z]{20,}"
_SECRET_LIKE = re.compile(rf"(?<![0-9A-Za-z])(?:{_KEY_LIKE}|{_CREDENTIAL_LIKE}|{_RANDOM_LIKE})", re.ASCII)
_NAMED_SECRET = re.compile(rf"(?<![0-9A-Za-z])(?:{_KEY_LIKE}|{_CREDENTIAL_LIKE})", re.ASCII)
"""The same without guessing at random characters: they may as well be a cursor or a part of an endpoint."""


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


async def add_secret(tx: Tx, key: Key, prefix: str) -> tuple[KeySecret, str]:
    """Add a secret to the key; return its row and the text that is shown once."""
    random_part = "".join(secrets.choice(BASE62) for _ in range(RANDOM_LENGTH))
    text = assemble_secret(prefix, key.environment, random_part)
    row = await tx.insert(
        KeySecret(
            id=new_id("sec"),
            key_id=key.id,
            account_id=key.account_id,
            digest=secret_digest(text),
            display=display_secret(text),
            created_at=tx.now,
        )
    )
    return row, text


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
