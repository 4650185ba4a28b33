"""The audit of usage: whether its ledgers agree.

audit_account.py  which months and accounts to look at, and what differs
store.py          the statements that compare two ledgers
"""

from portal.usage.audit.audit_account import (
    Difference,
    audit_account,
    list_accounts_to_audit,
    list_months_to_audit,
    parse_month,
)

__all__ = ["Difference", "audit_account", "list_accounts_to_audit", "list_months_to_audit", "parse_month"]
