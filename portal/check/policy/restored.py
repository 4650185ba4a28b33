"""PostgreSQL behind Redis: restored to an earlier time, or promoted without the last commits.

The version in an account's record is raised only after a commit. So a policy that PostgreSQL gives out *after* that
version was read, and that is older, proves that PostgreSQL has lost changes. Then, never towards more rights:

    1  the account's tombstones are read from its record in Redis
    2  in one transaction PostgreSQL is brought to what they say, each change audited, and its version above Redis's
    3  the policy is loaded again, and is what everybody loads from now on, processes of an older version too

Where PostgreSQL takes no writes, the policy that it has is narrowed by the tombstones for the checks of this process.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

import msgspec

from portal import keys
from portal.check.policy.compile import KeyPolicy
from portal.core.concurrency.single_flight import SingleFlight
from portal.core.database import Database
from portal.core.errors import Unavailable
from portal.core.outages.rate_limited_log import RateLimitedLog
from portal.limits import AccountRecord, AccountRecords, Limiter, LimitsUnavailable

MAX_CONCURRENT = 4
"""After a restore every account may have to be healed: that must leave connections to others."""
TIMEOUT_SECONDS = 5.0
_log = RateLimitedLog(__name__)


class RestoredDatabase:
    """Finds accounts that PostgreSQL has an older state of than Redis, and heals them; one instance a process."""

    def __init__(self, database: Database, limiter: Limiter) -> None:
        self._database = database
        self._records = AccountRecords(limiter)
        self._heals: SingleFlight[keys.Reapplied | None] = SingleFlight()
        self._slots = asyncio.Semaphore(MAX_CONCURRENT)

    async def read_version(self, account_id: str) -> int | None:
        """Return the version that Redis knows, None where it does not answer."""
        try:
            return await self._records.read_version(account_id)
        except LimitsUnavailable:
            return None

    async def heal_lost(self, account_id: str, below: int | None) -> keys.Reapplied | None:
        """Heal an account below this version, or, for None, one whose PostgreSQL is known to have lost changes.

        Then what was remembered before the last minute's changes counts as well: they may have been made without it.
        """
        if below is not None:
            return await self.heal(account_id, below)
        return await self._heals.run((account_id, 0), lambda: self._heal(account_id, None, is_lost=True))

    async def heal(self, account_id: str, below: int | None = None) -> keys.Reapplied | None:
        """Bring the account in PostgreSQL to what Redis remembers, unless its version has reached `below`.

        Returns what was done, None for an account that either of the two does not have. Raises LimitsUnavailable, and
        what PostgreSQL raises.
        """
        return await self._heals.run((account_id, below), lambda: self._heal(account_id, below))

    async def narrowed(self, policy: KeyPolicy, version: int) -> KeyPolicy:
        """Heal the account and return the policy for now: narrowed by the tombstones, as of Redis's version.

        Raises Unavailable when Redis is lost meanwhile.
        """
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                await self.heal(policy.account_id, version)
        except Exception as error:
            _log.error("policy_version_not_healed", account=policy.account_id, error=repr(error))
        try:
            record = await self._records.read(policy.account_id)
        except LimitsUnavailable as error:
            raise Unavailable("Redis does not say what the database has lost.") from error
        return policy if record is None else narrow_policy(policy, record)

    async def _heal(self, account_id: str, below: int | None, *, is_lost: bool = False) -> keys.Reapplied | None:
        record = await self._records.read(account_id)
        if record is None:
            return None
        async with self._slots, self._database.transaction() as tx:
            for tombstones in record.previous if is_lost else ():
                await keys.reapply_tombstones(tx, account_id, tombstones, above=record.version)
            healed = await keys.reapply_tombstones(tx, account_id, record.tombstones, above=record.version, below=below)
        if healed is not None and healed.version != healed.before:
            versions = {"database": healed.before, "redis": record.version}
            _log.error("policy_version_behind", account=account_id, **versions, keys=len(healed.changed))
        return healed


def narrow_policy(policy: KeyPolicy, record: AccountRecord) -> KeyPolicy:
    """Return the policy without what the account's tombstones take away, as of the record's version."""
    changes: dict[str, Any] = {"version": max(policy.version, record.version)}
    tombstones: Mapping[str, Any] = record.tombstones
    secret = keys.read_secret_tombstone(tombstones, policy.secret_id)
    if secret is not None:
        changes["secret_ends_us"] = keys.earlier(policy.secret_ends_us, secret.ends_us)
    key = keys.read_key_tombstone(tombstones, policy.key_id)
    if key is not None:
        changes |= {
            "is_revoked": policy.is_revoked or key.revoked_us is not None,
            "is_paused": policy.is_paused or key.paused_us is not None,
            "expires_us": keys.earlier(policy.expires_us, key.expires_us),
            "scopes": tuple(keys.common_scopes(policy.scopes, key.scopes)),
            "allowed_ips": tuple(keys.common_ips(policy.allowed_ips, key.allowed_ips)),
        }
    if tombstones.get(policy.account_id, {}).get("suspended"):
        changes["is_suspended"] = True
    return msgspec.structs.replace(policy, **changes)
