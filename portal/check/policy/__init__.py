"""What a check needs to know of a key, never older than Redis knows.

compile          from PostgreSQL, in one snapshot, in the limiter's form: KeyPolicy and its rules
cache            this process, then Redis, then PostgreSQL; PreparedPolicy: what checks of one resource share
denials          remembered for up to a second beside the policy that denied
invalidate       after a change: raises the account's version in Redis before the caller is answered
backup           while PostgreSQL fails: what a process knows is kept in Redis for others that start
restored         PostgreSQL behind Redis, after a restore: finds it, heals it, never towards more rights
version_poller   without Redis: asks PostgreSQL which accounts have a newer version
"""

from portal.check.policy.cache import CachedPolicy, PolicyCache, PreparedPolicy
from portal.check.policy.compile import (
    KeyPolicy,
    NamedLimit,
    Rule,
    compile_rules,
    load_seed,
    period_at,
    rules_for,
)
from portal.check.policy.invalidate import PolicyInvalidator
from portal.check.policy.restored import RestoredDatabase
from portal.check.policy.version_poller import VersionPoller

__all__ = [
    "CachedPolicy",
    "KeyPolicy",
    "NamedLimit",
    "PolicyCache",
    "PolicyInvalidator",
    "PreparedPolicy",
    "RestoredDatabase",
    "Rule",
    "VersionPoller",
    "compile_rules",
    "load_seed",
    "period_at",
    "rules_for",
]
