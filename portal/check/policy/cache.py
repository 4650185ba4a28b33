"""Policies in two tiers before PostgreSQL: this process, then Redis. One load at a time for each secret.

Neither tier has to be told of changes: the limiter refuses an older policy, which is then loaded anew. What a secret
nobody has costs is bounded: its absence is remembered for a second, and few look-ups run at once.
"""

import asyncio
from collections import OrderedDict
from time import monotonic

import msgspec

from portal.check.policy.compile import KeyPolicy, load_policy, share
from portal.check.policy.prepared import PreparedPolicy
from portal.check.policy.single_flight import SingleFlight
from portal.core.database import Database
from portal.limits import Limiter, LimitsUnavailable

ABSENT_SECONDS = 1.0
MAX_ABSENT = 10_000
MAX_CONCURRENT_LOADS = 16
SHARED_SECONDS = 600
MAX_PREPARED = 64
"""Resources of a key; one that asks for more of them has its terms worked out anew."""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(KeyPolicy).decode


class CachedPolicy:
    """A policy and since when this process has it (monotonic seconds).

    `heard`: how many changes, of any account, this process had heard of when the policy was last found current.
    """

    __slots__ = ("_is_by_resource", "_terms", "heard", "kept_at", "policy")

    def __init__(self, policy: KeyPolicy) -> None:
        self.policy = policy
        self.kept_at = monotonic()
        self.heard = -1
        self._is_by_resource = any(rule.resource is not None for rule in policy.rules)
        self._terms: dict[str, PreparedPolicy] | None = None

    def prepared_for(self, resource: str) -> PreparedPolicy:
        """Where no rule names a resource, all of them have the same: gateways know thousands."""
        if not self._is_by_resource:
            resource = ""
        known = self._terms
        if known is None or len(known) > MAX_PREPARED:
            known = self._terms = {}
        prepared = known.get(resource)
        if prepared is None:
            prepared = known[resource] = PreparedPolicy(self.policy, resource)
        return prepared


class PolicyCache:
    def __init__(self, database: Database, limiter: Limiter, *, size: int, max_age_seconds: int) -> None:
        self._database = database
        self._limiter = limiter
        self._size = size
        self._max_age = max_age_seconds
        self._known: OrderedDict[bytes, CachedPolicy] = OrderedDict()
        self._absent: OrderedDict[bytes, float] = OrderedDict()
        self._versions: OrderedDict[str, int] = OrderedDict()
        self._heard = 0
        self._loads: SingleFlight[CachedPolicy | None] = SingleFlight()
        self._slots = asyncio.Semaphore(MAX_CONCURRENT_LOADS)

    def known(self, digest: bytes) -> CachedPolicy | None:
        """What this process has in memory and may use; None says nothing about the secret."""
        entry = self._known.get(digest)
        if entry is None or monotonic() - entry.kept_at >= self._max_age:
            return None
        if entry.heard != self._heard and not self._is_current(entry):
            return None
        self._known.move_to_end(digest)
        return entry

    async def get(self, digest: bytes) -> CachedPolicy | None:
        """None when no key has this secret. Raises what PostgreSQL raises when it is asked and away."""
        now = monotonic()
        entry = self.known(digest)
        if entry is not None:
            return entry
        entry = self._known.get(digest)
        if self._absent.get(digest, 0.0) > now:
            return None
        if entry is None:
            return await self._loads.run(digest, lambda: self._from_redis(digest))
        try:
            return await self._loads.run(digest, lambda: self._from_database(digest))
        except Exception:
            if now - entry.kept_at < self._max_age * 24 and self._is_current(entry):
                return entry
            raise

    async def reload(self, digest: bytes) -> CachedPolicy | None:
        """From PostgreSQL, whatever the tiers hold."""
        return await self._loads.run(digest, lambda: self._from_database(digest))

    def raise_version(self, account_id: str, version: int) -> None:
        """Heard of a change: older policies of the account are loaded anew without asking Redis first."""
        if version > self._versions.get(account_id, 0):
            self._heard += 1
            self._versions[account_id] = version
            self._versions.move_to_end(account_id)
            while len(self._versions) > self._size:
                self._versions.popitem(last=False)

    def sizes(self) -> dict[str, int]:
        """How many secrets are remembered, and how many of them as nobody's."""
        return {"known": len(self._known), "absent": len(self._absent)}

    def _is_current(self, entry: CachedPolicy) -> bool:
        if entry.policy.version < self._versions.get(entry.policy.account_id, 0):
            return False
        entry.heard = self._heard
        return True

    async def _from_redis(self, digest: bytes) -> CachedPolicy | None:
        name = f"policy:{digest.hex()}"
        try:
            body = await self._limiter.shard_of(name).connection.call("GET", name)
            if isinstance(body, bytes):
                return self._keep(digest, CachedPolicy(share(_decode(body))))
        except (LimitsUnavailable, msgspec.MsgspecError):
            pass
        return await self._from_database(digest)

    async def _from_database(self, digest: bytes) -> CachedPolicy | None:
        async with self._slots:
            policy = await load_policy(self._database, digest)
        if policy is None:
            self._known.pop(digest, None)
            self._absent[digest] = monotonic() + ABSENT_SECONDS
            while len(self._absent) > MAX_ABSENT:
                self._absent.popitem(last=False)
            return None
        name = f"policy:{digest.hex()}"
        self._limiter.shard_of(name).connection.send(_ignore, "SET", name, _encode(policy), "EX", SHARED_SECONDS)
        return self._keep(digest, CachedPolicy(share(policy)))

    def _keep(self, digest: bytes, entry: CachedPolicy) -> CachedPolicy:
        self._known[digest] = entry
        self._known.move_to_end(digest)
        while len(self._known) > self._size:
            self._known.popitem(last=False)
        return entry


def _ignore(_reply: object) -> None:
    """The shared tier is an optimisation: a lost write costs one look-up."""
