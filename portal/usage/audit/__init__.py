"""The audit of usage: whether its ledgers agree.

audit.py  which months and accounts to look at, and what differs
store.py  the statements that compare two ledgers
"""

from portal.usage.audit.audit import Difference, audit_account, audited_months, list_accounts_to_audit, parse_month

__all__ = ["Difference", "audit_account", "audited_months", "list_accounts_to_audit", "parse_month"]
