"""Who did what. Owns `audit_events`: append-only, a hash chain per account; every verb writes one row.

A row's hash covers the one before it, so altering, deleting or reordering rows breaks the chain at that place.
Writes of one account queue behind an advisory lock of the transaction. Never holds a secret.

    action.py  what can be recorded: each verb declares its Action (name and words) beside itself
    record.py  append a row, with its hash     verify.py  the first row that does not follow
    models.py  store.py         its table and every statement on it
"""

from portal.audit.action import Action, find_action, list_actions
from portal.audit.models import AuditEvent
from portal.audit.record import build_event, record
from portal.audit.store import (
    AuditFilter,
    count_audit_events,
    count_rows,
    find_audit_event,
    list_audit_events,
    list_newest,
    lock_chain,
    try_lock_chains,
)
from portal.audit.verify import Break, ChainVerifier, verify_chain, verify_newest

__all__ = [
    "Action",
    "AuditEvent",
    "AuditFilter",
    "Break",
    "ChainVerifier",
    "build_event",
    "count_audit_events",
    "count_rows",
    "find_action",
    "find_audit_event",
    "list_actions",
    "list_audit_events",
    "list_newest",
    "lock_chain",
    "record",
    "try_lock_chains",
    "verify_chain",
    "verify_newest",
]
