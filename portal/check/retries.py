"""Retry ids: an id belongs to a service token and a key, and to what was asked under it first.

Only what was admitted is stored under it, for ten minutes. The same question again is answered the same, marked
`replayed`, and consumes nothing; another question is refused. A denial, a look (cost 0) and an explain store nothing:
they took nothing, so deciding again is safe. A look under a known id is another question, an explain never minds ids.
"""

from collections.abc import Sequence
from hashlib import blake2b

import msgspec

from portal.check.journal_batch import JournalEntry
from portal.check.request import CheckRequest
from portal.limits import Retry

_encode = msgspec.msgpack.Encoder().encode


class IdReused(Exception):
    """The id of a check was used for another question; nothing was decided or consumed."""

    def __init__(self) -> None:
        super().__init__(
            "This id was used within the last 10 minutes for a check with another cost, resource, scopes or ip. "
            "Nothing was consumed. Take a new id for each check, and the same one only for its retries."
        )


def retry_of(service_token_id: str, key_id: str, request: CheckRequest, entry: JournalEntry) -> Retry:
    """Return under what a check's answer is stored, with `entry` to repeat it from."""
    return _retry(service_token_id, "check", [(key_id, request)], entry)


def retry_of_atomic(
    service_token_id: str, checks: Sequence[tuple[str, CheckRequest]], entries: Sequence[JournalEntry]
) -> Retry | None:
    """Return the same of (key id, request) pairs that are decided as one: each id stands for all. None without ids."""
    has_id = any(request.id is not None for _, request in checks)
    return _retry(service_token_id, "atomic", checks, entries) if has_id else None


def is_same_question(entry: JournalEntry, request: CheckRequest) -> bool:
    """Return whether a stored answer is to this request, as far as it can be told without a digest.

    The limiter compares digests; this is for answers of versions that stored none.
    """
    return (entry.resource, entry.cost, entry.ip) == (request.resource, request.cost, request.ip or "")


def _retry(service_token_id: str, kind: str, checks: Sequence[tuple[str, CheckRequest]], stored: object) -> Retry:
    names = [f"{service_token_id}:{key_id}:{request.id}" for key_id, request in checks if request.id is not None]
    question = [
        (key_id, request.cost, request.resource, sorted(set(request.scopes)), request.ip) for key_id, request in checks
    ]
    digest = blake2b(_encode((kind, question)), digest_size=16).hexdigest()
    return Retry(tuple(dict.fromkeys(names)), msgspec.json.encode(stored).decode(), digest)
