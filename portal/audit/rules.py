"""The chain's arithmetic: SHA-256 over the hash before and the row's canonical JSON."""

from hashlib import sha256

import msgspec

from portal.audit.models import AuditEvent

FIRST = bytes(32)


def chain_hash(before: bytes, row: AuditEvent) -> bytes:
    """Return the hash of `row` after one whose hash is `before` (`FIRST` for the first of an account)."""
    document = [
        row.account_id,
        row.sequence,
        row.occurred_at.isoformat(),
        row.actor_kind,
        row.actor_id,
        row.address,
        row.action,
        row.subject,
        row.details,
    ]
    return sha256(before + msgspec.json.encode(document, order="sorted")).digest()
