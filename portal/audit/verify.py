"""Verify a chain: the first row that was altered, deleted, reordered or slipped in."""

from dataclasses import dataclass

from portal.audit import store
from portal.audit.models import AuditEvent
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


class ChainVerifier:
    """Verifies all chains, a portion of rows at a time, in their order: by account, then by sequence.

    A chain only grows, so every portion may be of a snapshot of its own.
    """

    def __init__(self) -> None:
        self.chains = 0
        self.breaks: list[Break] = []
        self._after = ("", 0)
        self._account_id: str | None = None
        self._hash = GENESIS_HASH
        self._expected: int | None = 1

    async def verify_next(self, tx: Tx, most: int) -> int:
        """Verify the next `most` rows; return how many there were, fewer at the end."""
        rows = await store.list_rows(tx, after=self._after, most=most)
        for row in rows:
            self._verify(row)
        if rows:
            self._after = rows[-1].account_id, rows[-1].sequence
        return len(rows)

    def _verify(self, row: AuditEvent) -> None:
        if row.account_id != self._account_id:
            self._account_id, self._hash, self._expected = row.account_id, GENESIS_HASH, 1
            self.chains += 1
        if self._expected is None:
            return  # after its first break
        reason = mistake_of(row, self._hash, self._expected)
        if reason is None:
            self._hash, self._expected = row.hash, self._expected + 1
        else:
            self.breaks.append(Break(row.account_id, self._expected, reason))
            self._expected = None


def mistake_of(row: AuditEvent, before: bytes, expected: int) -> str | None:
    """Return what is wrong with the row that should be the one numbered `expected`, after one with that hash."""
    if row.sequence != expected:
        return "is missing"
    return None if row.hash == chain_hash(before, row) else "does not follow from the row before it"


async def verify_chain(tx: Tx, account_id: str) -> Break | None:
    """Return where the chain breaks, or None when every row follows from the one before it."""
    return await _verify(tx, account_id, GENESIS_HASH, 1)


async def _verify(tx: Tx, account_id: str, before: bytes, expected: int, until: int | None = None) -> Break | None:
    """Verify from the row `expected` on, which follows one whose hash is `before`."""
    while rows := await store.list_audit_events(tx, account_id, after_sequence=expected - 1, most=PAGE):
        for row in rows:
            if until is not None and row.sequence > until:
                return None
            if (reason := mistake_of(row, before, expected)) is not None:
                return Break(account_id, expected, reason)
            before, expected = row.hash, expected + 1
    return None
