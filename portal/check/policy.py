"""What the check knows of a key: everything that decides, read in one snapshot, compiled for the limiter."""

from typing import Any, Literal

import msgspec

from portal.accounts import Account, find_account
from portal.core.clock import to_microseconds
from portal.core.database import Database
from portal.keys import Key, KeySecret, find_secret_by_digest
from portal.limits import Quota, Seed, Subject, Window
from portal.plans import Entitlement, Limit, Period, entitlement_of, periods_around
from portal.usage import used_in_period

NO_LIMIT = -1
LIVE = "live"


class NamedLimit(msgspec.Struct, frozen=True):
    """A window as people know it; the order is that of the subjects' windows."""

    name: str
    amount: int
    window_ms: int


class KeyPolicy(msgspec.Struct, frozen=True):
    """`version` is the account's in the snapshot that all of this was read in. Instants in microseconds."""

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
    failure_policy: Literal["open", "closed"]
    limits: tuple[NamedLimit, ...]
    subjects: tuple[Subject, ...]
    quota: Quota | None
    """None for test keys, which neither use nor are held to the account's quota."""
    periods: tuple[tuple[str, int, int], ...]
    quota_amount: int | None
    is_overage_allowed: bool


async def load_policy(database: Database, digest: bytes) -> KeyPolicy | None:
    """From PostgreSQL; None when no key has this secret."""
    async with database.snapshot() as tx:
        found = await find_secret_by_digest(tx, digest)
        if found is None:
            return None
        secret, key = found
        account = await find_account(tx, key.account_id)
        if account is None:
            return None
        entitlement = await entitlement_of(tx, account.id)
        return compile_policy(secret, key, account, entitlement, periods_around(tx.now, account.time_zone))


async def load_seed(database: Database, policy: KeyPolicy) -> Seed:
    """The account's version and used units as PostgreSQL knows them, for a Redis that does not."""
    async with database.snapshot() as tx:
        account = await find_account(tx, policy.account_id)
        used = {name: await used_in_period(tx, policy.account_id, name) for name, _, _ in policy.periods}
        return Seed(account.policy_version if account else policy.version, used)


def compile_policy(
    secret: KeySecret, key: Key, account: Account, entitlement: Entitlement, periods: tuple[Period, Period]
) -> KeyPolicy:
    ordered = sorted(entitlement.limits, key=lambda limit: limit.per)
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
        limits=tuple(NamedLimit(limit.name, limit.amount, limit.window_ms) for limit in ordered),
        subjects=_subjects(key, ordered),
        quota=Quota(amount, compiled_periods) if key.environment == LIVE else None,
        periods=compiled_periods,
        quota_amount=entitlement.quota,
        is_overage_allowed=entitlement.is_overage_allowed,
    )


def _subjects(key: Key, ordered: list[Limit]) -> tuple[Subject, ...]:
    """One log for the account's limits and one for the key's; live and test traffic never share one."""
    names = {"account": f"{key.account_id}:{key.environment}", "key": key.id}
    subjects = []
    for per, name in names.items():
        windows = tuple(Window(limit.amount, limit.window_ms * 1000) for limit in ordered if limit.per == per)
        if windows:
            subjects.append(Subject(name, windows))
    return tuple(subjects)


def period_at(policy: KeyPolicy, instant_us: int) -> str:
    """The name of the billing period that holds the instant; the first known one for an instant outside."""
    for name, start, end in policy.periods:
        if start <= instant_us < end:
            return name
    return policy.periods[0][0]
