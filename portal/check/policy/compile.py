"""Compile a key's policy: everything that decides its checks, read in one snapshot, in the limiter's form."""

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from sys import intern
from typing import Any, TypeVar

import msgspec

from portal.accounts import Account, find_account
from portal.core.clock import to_microseconds
from portal.core.database import Database
from portal.core.environments import LIVE
from portal.keys import Key, KeySecret, LimitOverride, find_secret_by_digest, overrides_of, own_limits, with_overrides
from portal.limits import Bucket, Quota, Seed, Subject, Window
from portal.plans import (
    AccountPeriod,
    Entitlement,
    FailurePolicy,
    Limit,
    Plan,
    entitlement_from,
    get_account_plan,
    load_periods_near,
)
from portal.usage import used_in_period

Value = TypeVar("Value")
NO_LIMIT = -1


class NamedLimit(msgspec.Struct, frozen=True, gc=False):
    """A limit as people know it: at most `amount` at once, full again after `window_ms`.

    `step_ms`: how long after a first unit the next one is free; a window frees all of them at its end.
    """

    name: str
    amount: int
    window_ms: int
    step_ms: int


class Rule(msgspec.Struct, frozen=True, gc=False):
    """One state in Redis and the limits that it serves, in its order. `resource` None: for every check."""

    subject: Subject
    limits: tuple[NamedLimit, ...]
    resource: str | None = None

    def applies_to(self, resource: str) -> bool:
        """Return whether a check of the resource is held to this rule; a trailing `*` matches any ending."""
        pattern = self.resource
        if pattern is None:
            return True
        return resource.startswith(pattern[:-1]) if pattern.endswith("*") else resource == pattern


class FollowingPlan(msgspec.Struct, frozen=True, gc=False):
    """What a key may do from the instant `at_us` on, by the plan that its account is on then."""

    at_us: int
    failure_policy: FailurePolicy
    rules: tuple[Rule, ...]
    quota: Quota | None
    quota_amount: int | None
    is_overage_allowed: bool


class KeyPolicy(msgspec.Struct, frozen=True, gc=False):
    """All that a check needs to know; `version` is the account's in the snapshot it was read in. Instants in µs."""

    version: int
    account_id: str
    key_id: str
    secret_id: str
    environment: str
    name: str
    scopes: tuple[str, ...]
    allowed_ips: tuple[str, ...]
    metadata: dict[str, Any]
    is_suspended: bool
    is_paused: bool
    is_revoked: bool
    expires_us: int | None
    secret_ends_us: int | None
    failure_policy: FailurePolicy
    rules: tuple[Rule, ...]
    quota: Quota | None
    """None for test keys, which neither use nor are held to the account's quota."""
    periods: tuple[tuple[str, int, int], ...]
    quota_amount: int | None
    is_overage_allowed: bool
    following: FollowingPlan | None = None


async def load_policy(database: Database, digest: bytes) -> KeyPolicy | None:
    """Load the policy of a secret from PostgreSQL; None when no key has it."""
    async with database.snapshot() as tx:
        found = await find_secret_by_digest(tx, digest)
        if found is None:
            return None
        secret, key = found
        account = await find_account(tx, key.account_id)
        if account is None:
            return None
        plan = await get_account_plan(tx, account.id)
        overrides = overrides_of(key, tx.now)
        periods = await load_periods_near(tx, account)
        policy = compile_policy(secret, key, account, _entitlement(plan.plan, overrides), periods)
        if plan.pending is None:
            return policy
        then = compile_policy(secret, key, account, _entitlement(plan.pending.plan, overrides), periods)
        return msgspec.structs.replace(policy, following=_following(then, to_microseconds(plan.pending.starts_at)))


def policy_at(policy: KeyPolicy, instant_us: int) -> KeyPolicy:
    """Return the policy as it is at an instant: by the plan that follows, once that has begun."""
    following = policy.following
    if following is None or instant_us < following.at_us:
        return policy
    return msgspec.structs.replace(
        policy,
        failure_policy=following.failure_policy,
        rules=following.rules,
        quota=following.quota,
        quota_amount=following.quota_amount,
        is_overage_allowed=following.is_overage_allowed,
        following=None,
    )


def _entitlement(plan: Plan, overrides: Sequence[LimitOverride]) -> Entitlement:
    entitlement = entitlement_from(plan)
    return replace(entitlement, limits=tuple(with_overrides(entitlement.limits, overrides)))


def _following(policy: KeyPolicy, at_us: int) -> FollowingPlan:
    return FollowingPlan(
        at_us, policy.failure_policy, policy.rules, policy.quota, policy.quota_amount, policy.is_overage_allowed
    )


async def load_seed(database: Database, policy: KeyPolicy) -> Seed:
    """Load the account's version and used units as PostgreSQL knows them, for a Redis that does not."""
    async with database.snapshot() as tx:
        account = await find_account(tx, policy.account_id)
        used = {name: await used_in_period(tx, policy.account_id, name) for name, _, _ in policy.periods}
        return Seed(account.policy_version if account else policy.version, used)


def intern_policy(policy: KeyPolicy) -> KeyPolicy:
    """Return an equal policy that holds once what many keys have in common: a process knows a million of them."""
    rules = tuple(
        [
            Rule(
                Subject(rule.subject.name, _intern(rule.subject.windows), _intern(rule.subject.bucket)),
                _intern(rule.limits),
                _intern(rule.resource),
            )
            for rule in policy.rules
        ]
    )
    return msgspec.structs.replace(
        policy,
        account_id=intern(policy.account_id),
        environment=intern(policy.environment),
        failure_policy=intern(policy.failure_policy),
        scopes=_intern(policy.scopes),
        allowed_ips=_intern(policy.allowed_ips),
        rules=rules,
        quota=_intern(policy.quota),
        periods=_intern(policy.periods),
    )


@lru_cache(maxsize=10_000)
def _intern(value: Value) -> Value:
    """Return the first value that was equal."""
    return value


def compile_policy(
    secret: KeySecret, key: Key, account: Account, entitlement: Entitlement, periods: Sequence[AccountPeriod]
) -> KeyPolicy:
    """Compile what PostgreSQL says of a key into its policy."""
    compiled_periods = tuple((p.name, to_microseconds(p.start), to_microseconds(p.end)) for p in periods)
    amount = NO_LIMIT if entitlement.quota is None or entitlement.is_overage_allowed else entitlement.quota
    return KeyPolicy(
        version=account.policy_version,
        account_id=account.id,
        key_id=key.id,
        secret_id=secret.id,
        environment=key.environment,
        name=key.name,
        scopes=tuple(key.scopes),
        allowed_ips=tuple(key.allowed_ips),
        metadata=key.attributes,
        is_suspended=account.suspended_at is not None,
        is_paused=key.paused_at is not None,
        is_revoked=key.revoked_at is not None,
        expires_us=to_microseconds(key.expires_at) if key.expires_at else None,
        secret_ends_us=to_microseconds(secret.ends_at) if secret.ends_at else None,
        failure_policy=entitlement.failure_policy,
        rules=compile_rules(key, [*entitlement.limits, *own_limits(key)]),
        quota=Quota(amount, compiled_periods) if key.environment == LIVE else None,
        periods=compiled_periods,
        quota_amount=entitlement.quota,
        is_overage_allowed=entitlement.is_overage_allowed,
    )


def compile_rules(key: Key, limits: Sequence[Limit]) -> tuple[Rule, ...]:
    """Compile limits into rules: windows of one subject share a log, each bucket is a state of its own.

    Live and test traffic share nothing.

    A bucket's level is kept in units times its window, so one with another window is another bucket.
    """
    owners = {"account": f"{key.account_id}:{key.environment}", "key": key.id}
    windows: dict[tuple[str, str | None], list[Limit]] = {}
    rules = []
    for limit in limits:
        if limit.algorithm == "token_bucket":
            name = f"{owners[limit.per]}#{limit.name}:{limit.window_ms}"  # never the name of a resource's log
            bucket = Bucket(limit.capacity, limit.amount, limit.window_ms * 1000)
            rules.append(Rule(Subject(name, bucket=bucket), (_named(limit),), limit.resource))
        else:
            windows.setdefault((limit.per, limit.resource), []).append(limit)
    for (per, resource), group in windows.items():
        name = owners[per] if resource is None else f"{owners[per]}:{resource}"
        subject = Subject(name, tuple(Window(limit.amount, limit.window_ms * 1000) for limit in group))
        rules.append(Rule(subject, tuple(_named(limit) for limit in group), resource))
    return tuple(rules)


def _named(limit: Limit) -> NamedLimit:
    full_ms = -(-limit.capacity * limit.window_ms // limit.amount)
    step_ms = -(-limit.window_ms // limit.amount) if limit.algorithm == "token_bucket" else limit.window_ms
    return NamedLimit(limit.name, limit.capacity, full_ms if limit.algorithm == "token_bucket" else step_ms, step_ms)


def rules_for(policy: KeyPolicy, resource: str) -> tuple[Rule, ...]:
    """Return the rules that a check of the resource is held to."""
    for rule in policy.rules:
        if rule.resource is not None:
            return tuple(rule for rule in policy.rules if rule.applies_to(resource))
    return policy.rules


def limits_of(rules: Sequence[Rule]) -> tuple[NamedLimit, ...]:
    """Return the limits of rules, in the order of a decision's states."""
    return rules[0].limits if len(rules) == 1 else tuple([limit for rule in rules for limit in rule.limits])


def period_at(policy: KeyPolicy, instant_us: int) -> str:
    """Return the name of the billing period that holds the instant; the first known one for an instant outside."""
    for name, start, end in policy.periods:
        if start <= instant_us < end:
            return name
    return policy.periods[0][0]
