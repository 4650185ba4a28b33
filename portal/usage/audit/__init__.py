"""The audit of usage: whether its ledgers agree.

audit_accounts.py  which months and accounts to look at, and what differs
store.py           the statements that compare two ledgers
"""

from portal.usage.audit.audit_accounts import (
    Difference,
    audit_accounts,
    list_accounts_to_audit,
    list_months_to_audit,
    parse_month,
)

__all__ = ["Difference", "audit_accounts", "list_accounts_to_audit", "list_months_to_audit", "parse_month"]
