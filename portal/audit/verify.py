"""Verify a chain: the first row that was altered, deleted, reordered or slipped in."""

from dataclasses import dataclass

from portal.audit import store
from portal.audit.rules import FIRST, chain_hash
from portal.core.database import Tx

PAGE = 500


@dataclass(frozen=True, slots=True)
class Break:
    """Where a chain does not hold. A cut at its very end is not seen: keep the last hash elsewhere for that."""

    account_id: str
    sequence: int
    reason: str


async def verify_chain(tx: Tx, account_id: str) -> Break | None:
    """None when every row follows from the one before it."""
    before, expected = FIRST, 1
    while rows := await store.list_audit_events(tx, account_id, after_sequence=expected - 1, most=PAGE):
        for row in rows:
            if row.sequence != expected:
                return Break(account_id, expected, "is missing")
            if row.hash != chain_hash(before, row):
                return Break(account_id, expected, "does not follow from the row before it")
            before, expected = row.hash, expected + 1
    return None
