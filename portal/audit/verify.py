"""Verify a chain: the first row that was altered, deleted, reordered or slipped in."""

from dataclasses import dataclass

from portal.audit import store
from portal.audit.record import GENESIS_HASH, chain_hash
from portal.core.database import Tx

PAGE = 500


@dataclass(frozen=True, slots=True)
class Break:
    """Where a chain does not hold. A cut at its very end is not seen: keep the last hash elsewhere for that."""

    account_id: str
    sequence: int
    reason: str


@dataclass(frozen=True, slots=True)
class ChainState:
    """The newest `verified` of `events` rows follow from one another, unless `broken` says where not."""

    events: int
    verified: int
    last_hash: bytes
    broken: Break | None


async def verify_newest(tx: Tx, account_id: str, most: int) -> ChainState:
    """Verify the newest `most` rows, bounded for a page; `verify_chain` reads the whole chain."""
    last = await store.list_newest(tx, account_id, store.AuditFilter(), most=1)
    if not last:
        return ChainState(0, 0, GENESIS_HASH, None)
    first = max(1, last[0].sequence - most + 1)
    before = await store.find_audit_event(tx, account_id, first - 1) if first > 1 else None
    start = (before.hash if before else GENESIS_HASH), first
    broken = await _verify(tx, account_id, *start, until=last[0].sequence)
    return ChainState(last[0].sequence, last[0].sequence - first + 1, last[0].hash, broken)


async def verify_chain(tx: Tx, account_id: str) -> Break | None:
    """Return where the chain breaks, or None when every row follows from the one before it."""
    return await _verify(tx, account_id, GENESIS_HASH, 1)


async def _verify(tx: Tx, account_id: str, before: bytes, expected: int, until: int | None = None) -> Break | None:
    """Verify from the row `expected` on, which follows one whose hash is `before`."""
    while rows := await store.list_audit_events(tx, account_id, after_sequence=expected - 1, most=PAGE):
        for row in rows:
            if until is not None and row.sequence > until:
                return None
            if row.sequence != expected:
                return Break(account_id, expected, "is missing")
            if row.hash != chain_hash(before, row):
                return Break(account_id, expected, "does not follow from the row before it")
            before, expected = row.hash, expected + 1
    return None
