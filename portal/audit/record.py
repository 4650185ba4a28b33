"""Write one row of the audit log. Rows of an account are a chain.

A row's hash is SHA-256 over the hash before it and the row's canonical JSON.
"""

from hashlib import sha256
from typing import Any

import msgspec

from portal.audit import store
from portal.audit.action import Action
from portal.audit.models import AuditEvent
from portal.core.actor import Actor
from portal.core.database import Tx

GENESIS_HASH = bytes(32)


def chain_hash(before: bytes, row: AuditEvent) -> bytes:
    """Return the hash of `row` after one whose hash is `before` (`GENESIS_HASH` for the first of an account)."""
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


async def record(tx: Tx, actor: Actor, action: Action, subject: str, **details: Any) -> None:
    """Append a row to the chain of the actor's account. `details` become JSON and hold no secret."""
    last = await store.lock_chain(tx, actor.account_id)
    await tx.insert(build_event(tx, last, actor, action, subject, **details))


def build_event(
    tx: Tx, last: AuditEvent | None, actor: Actor, action: Action, subject: str, **details: Any
) -> AuditEvent:
    """Build the row that follows `last`, which `lock_chain` returned in this transaction; the caller inserts it.

    For who writes many chains at once and holds something that all wait for.
    """
    row = AuditEvent(
        account_id=actor.account_id,
        sequence=last.sequence + 1 if last else 1,
        occurred_at=tx.now,
        actor_kind=actor.kind,
        actor_id=actor.id,
        address=actor.address,
        action=action.name,
        subject=subject,
        details=details,
        hash=b"",
    )
    row.hash = chain_hash(last.hash if last else GENESIS_HASH, row)
    return row
