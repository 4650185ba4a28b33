"""Who did what. Owns `audit_events`: append-only, a hash chain per account; every verb writes one row.

A row's hash covers the one before it, so altering, deleting or reordering rows breaks the chain at that place.
Writes of one account queue behind an advisory lock of the transaction. Never holds a secret.
"""

from portal.audit.models import AuditEvent
from portal.audit.record import record
from portal.audit.store import list_audit_events, list_chains
from portal.audit.verify import Break, verify_chain

__all__ = ["AuditEvent", "Break", "list_audit_events", "list_chains", "record", "verify_chain"]
