"""Policies in two tiers before PostgreSQL: this process, then Redis. One load at a time for each secret.

Neither tier is notified of changes: the limiter refuses an older policy, which is then loaded anew. What a secret
nobody has costs is bounded: its absence is remembered for a second, and few look-ups run at once.
"""

import asyncio
from collections import OrderedDict
from math import inf
from time import monotonic

import msgspec

from portal.check.policy.backup import PolicyBackup
from portal.check.policy.compile import KeyPolicy, intern_policy, limits_of, load_policy, policy_at, rules_for
from portal.check.policy.denials import DenialCache
from portal.check.policy.restored import RestoredDatabase
from portal.core.clock import to_microseconds, utc_now
from portal.core.concurrency.single_flight import SingleFlight
from portal.core.database import Database
from portal.limits import Decision, Limiter, LimitRequest, LimitsUnavailable, Mode, Seed, Status, encode

ABSENT_SECONDS = 1.0
MAX_ABSENT = 10_000
MAX_CONCURRENT_LOADS = 16
SHARED_SECONDS = 600
OUTAGE_SECONDS = 24 * 3600.0
TIMEOUT_SECONDS = 1.0
"""The longest that a check waits for PostgreSQL where its policy is known and only due again."""
RETRY_SECONDS = 2.0
"""So long after PostgreSQL failed, known policies serve without asking it."""
MAX_PREPARED = 64
"""Resources of a key; one that asks for more of them is prepared anew."""
MAX_COSTS = 8
CONSUME = Mode.CONSUME

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(KeyPolicy).decode


class PreparedPolicy:
    """What all checks of one key and resource have in common, worked out at the first of them.

    `limits` in the order of a decision's states. `is_plain`: nothing in the policy could deny before the limits.
    `header_cache`: the part of the rate-limit headers that is the same in every answer, filled in by who writes them.
    """

    __slots__ = ("_requests", "denials", "header_cache", "is_plain", "limits", "policy", "subjects")

    def __init__(self, policy: KeyPolicy, resource: str) -> None:
        rules = rules_for(policy, resource)
        self.policy = policy
        self.is_plain = (
            not (policy.is_suspended or policy.is_paused or policy.is_revoked or policy.allowed_ips)
            and policy.expires_us is None
            and policy.secret_ends_us is None
        )
        self.limits = limits_of(rules)
        self.subjects = tuple([rule.subject for rule in rules])
        self.denials: DenialCache | None = None
        self.header_cache: tuple[str, int | None] | None = None
        self._requests: dict[int, LimitRequest] = {}

    def consume_request(self, cost: int) -> LimitRequest:
        """Return the limiter's request, encoded once: nearly every check costs what the one before did.

        It is shared and not to be changed.
        """
        request = self._requests.get(cost)
        if request is None:
            request = self.build_request(CONSUME, cost)
            request.encoded = encode(request)
            if len(self._requests) >= MAX_COSTS:
                self._requests.clear()
            self._requests[cost] = request
        return request

    def build_request(self, mode: Mode, cost: int, seed: Seed | None = None) -> LimitRequest:
        """Build a request to the limiter that is used once."""
        policy = self.policy
        return LimitRequest(policy.account_id, policy.version, mode, cost, self.subjects, policy.quota, seed)

    def update_denials(self, request: LimitRequest, decision: Decision, requested_at: float) -> None:
        """Remember a denial for the checks that come after it; forget those from before an admission.

        They would still be denials, but what they say of used units is not true any more.
        """
        if self.denials is None:
            self.denials = DenialCache()
        if decision.status is not Status.ADMITTED:
            self.denials.store(request, decision, requested_at)
        elif request.cost:
            self.denials.clear()


class CachedPolicy:
    """A policy, since when it is known (`loaded_at`) and until when it may be used unasked (monotonic seconds).

    `ends_at`: when the plan that follows begins, by which the policy is another one. The cache sets `fresh_until`.

    `change_count`: how many changes, of any account, this process knew of when the policy was last found current.
    """

    __slots__ = ("_is_by_resource", "_prepared", "change_count", "ends_at", "fresh_until", "loaded_at", "policy")

    def __init__(self, policy: KeyPolicy, age_seconds: float = 0.0) -> None:
        now_us, now = to_microseconds(utc_now()), monotonic()
        self.policy = policy = policy_at(policy, now_us)
        self.loaded_at = now - age_seconds
        self.ends_at = inf if policy.following is None else now + (policy.following.at_us - now_us) / 1e6
        self.fresh_until = self.ends_at
        self.change_count = -1
        self._is_by_resource = any(rule.resource is not None for rule in policy.rules)
        self._prepared: dict[str, PreparedPolicy] | None = None

    def prepared_for(self, resource: str) -> PreparedPolicy:
        """Return the prepared policy of a resource, one for all where no rule names any: gateways know thousands."""
        if not self._is_by_resource:
            resource = ""
        known = self._prepared
        if known is None or len(known) > MAX_PREPARED:
            known = self._prepared = {}
        prepared = known.get(resource)
        if prepared is None:
            prepared = known[resource] = PreparedPolicy(self.policy, resource)
        return prepared


class PolicyCache:
    """Policies by their secret's digest; one instance a process.

    `cold_count`: look-ups that memory could not answer. `load_counts`: policies by the tier that they came from.
    """

    def __init__(
        self,
        database: Database,
        limiter: Limiter,
        *,
        size: int,
        max_age_seconds: int,
        outage_seconds: float = OUTAGE_SECONDS,
    ) -> None:
        self._database = database
        self._limiter = limiter
        self._size = size
        self._max_age = max_age_seconds
        self._outage_seconds = outage_seconds
        self._failed_at = -RETRY_SECONDS
        self._backup = PolicyBackup(limiter, outage_seconds)
        self._restored = RestoredDatabase(database, limiter)
        self._policies: OrderedDict[bytes, CachedPolicy] = OrderedDict()
        self._absent: OrderedDict[bytes, float] = OrderedDict()
        self._versions: OrderedDict[str, int] = OrderedDict()
        self._change_count = 0
        self._loads: SingleFlight[CachedPolicy | None] = SingleFlight()
        self._slots = asyncio.Semaphore(MAX_CONCURRENT_LOADS)
        self.cold_count = 0
        self.load_counts = {"redis": 0, "postgresql": 0}

    def find_in_memory(self, digest: bytes) -> CachedPolicy | None:
        """Return what this process has and may use; None says nothing about the secret."""
        entry = self._policies.get(digest)
        if entry is None or monotonic() >= entry.fresh_until:
            return None
        if entry.change_count != self._change_count and not self._is_current(entry):
            return None
        self._policies.move_to_end(digest)
        return entry

    async def find(self, digest: bytes) -> CachedPolicy | None:
        """Return the policy, from wherever it is; None when no key has this secret.

        Any error of PostgreSQL leaves a known policy in force, for as long as an outage may last. Raises what
        PostgreSQL raises when it is asked about another.
        """
        now = monotonic()
        entry = self.find_in_memory(digest)
        if entry is not None:
            return entry
        self.cold_count += 1
        entry = self._policies.get(digest)
        if self._absent.get(digest, 0.0) > now:
            return None
        if entry is not None and now >= entry.ends_at:
            entry = self._store(digest, CachedPolicy(entry.policy, now - entry.loaded_at))
            if self._is_current(entry):
                return entry
        if entry is None:
            return await self._loads.run(digest, lambda: self._from_redis(digest))
        if now - entry.loaded_at >= self._outage_seconds or not self._is_current(entry):
            return await self._loads.run(digest, lambda: self._from_database(digest))
        return await self._confirm(digest, entry)

    async def _confirm(self, digest: bytes, entry: CachedPolicy) -> CachedPolicy | None:
        """Load a known policy that is due again. One that cannot be loaded stays in force, and is tried later."""
        if monotonic() - self._failed_at >= RETRY_SECONDS:
            try:
                async with asyncio.timeout(TIMEOUT_SECONDS):
                    return await self._loads.run(digest, lambda: self._from_database(digest))
            except Exception:
                self._failed_at = monotonic()
        entry.fresh_until = min(monotonic() + RETRY_SECONDS, entry.ends_at)
        return entry

    async def reload(self, digest: bytes, stale: KeyPolicy) -> CachedPolicy | None:
        """Load the policy from PostgreSQL instead of the `stale` one, whatever the tiers hold.

        Where PostgreSQL fails, a newer one that another process has shared will do. Where PostgreSQL itself is older
        than Redis, the account is healed first: see restored.py.
        """
        try:
            return await self._loads.run(digest, lambda: self._from_database_in_time(digest, stale.account_id))
        except Exception:
            entry = await self._shared(digest) or await self._copied(digest)
            if entry is None or entry.policy.version <= stale.version:
                raise
            return self._store(digest, entry)

    async def _from_database_in_time(self, digest: bytes, account_id: str) -> CachedPolicy | None:
        """Load a policy that Redis calls stale; what it says then proves whether PostgreSQL has lost changes."""
        version = await self._restored.read_version(account_id)
        entry = await self._from_database(digest)
        if entry is None or version is None or entry.policy.version >= version:
            return entry
        narrowed = await self._restored.narrowed(entry.policy, version)
        return self._store(digest, CachedPolicy(intern_policy(narrowed)))

    def back_up(self) -> None:
        """Note an outage of PostgreSQL: what is known here is kept in Redis for as long, for processes that start."""
        self._failed_at = monotonic()
        self._backup.keep((digest, entry.policy, entry.loaded_at) for digest, entry in self._policies.items())

    async def close(self) -> None:
        """End what is under way."""
        await self._backup.close()

    def raise_version(self, account_id: str, version: int) -> None:
        """Note a change: older policies of the account are loaded anew without asking Redis first."""
        if version > self._versions.get(account_id, 0):
            self._change_count += 1
            self._versions[account_id] = version
            self._versions.move_to_end(account_id)
            while len(self._versions) > self._size:
                self._versions.popitem(last=False)

    def sizes(self) -> dict[str, int]:
        """Return how many secrets are remembered, and how many of them as nobody's."""
        return {"known": len(self._policies), "absent": len(self._absent)}

    def _is_current(self, entry: CachedPolicy) -> bool:
        if entry.policy.version < self._versions.get(entry.policy.account_id, 0):
            return False
        entry.change_count = self._change_count
        return True

    async def _from_redis(self, digest: bytes) -> CachedPolicy | None:
        entry = await self._shared(digest)
        if entry is None:
            try:
                return await self._from_database(digest)
            except Exception:
                entry = await self._copied(digest)
                if entry is None:
                    raise
        return self._store(digest, entry)

    async def _shared(self, digest: bytes) -> CachedPolicy | None:
        name = f"policy:{digest.hex()}"
        try:
            body = await self._limiter.shard_of(name).connection.call("GET", name)
            if not isinstance(body, bytes):
                return None
            self.load_counts["redis"] += 1
            return CachedPolicy(intern_policy(_decode(body)))
        except (LimitsUnavailable, msgspec.MsgspecError):
            return None

    async def _copied(self, digest: bytes) -> CachedPolicy | None:
        copy = await self._backup.find(digest)
        return None if copy is None else CachedPolicy(intern_policy(copy[0]), age_seconds=copy[1])

    async def _from_database(self, digest: bytes) -> CachedPolicy | None:
        async with self._slots:
            policy = await load_policy(self._database, digest)
        self.load_counts["postgresql"] += 1
        if policy is None:
            self._policies.pop(digest, None)
            self._absent[digest] = monotonic() + ABSENT_SECONDS
            while len(self._absent) > MAX_ABSENT:
                self._absent.popitem(last=False)
            return None
        name = f"policy:{digest.hex()}"
        self._limiter.shard_of(name).connection.send(_ignore, "SET", name, _encode(policy), "EX", SHARED_SECONDS)
        return self._store(digest, CachedPolicy(intern_policy(policy)))

    def _store(self, digest: bytes, entry: CachedPolicy) -> CachedPolicy:
        entry.fresh_until = min(monotonic() + self._max_age, entry.ends_at)
        self._policies[digest] = entry
        self._policies.move_to_end(digest)
        while len(self._policies) > self._size:
            self._policies.popitem(last=False)
        return entry


def _ignore(_reply: object) -> None:
    """Take the reply to a write to the shared tier, which is an optimisation: a lost write costs one look-up."""
