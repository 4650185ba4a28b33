"""Which resources have buckets of their own: the first thousand of an account's day; all others share one, `other`.

Exact under any number of workers and repetitions, because a day's names are only ever added, under a lock on the
account's day, until there are a thousand: from then on no name comes or goes. So a name has its own bucket for all of
its events or for none, and who knows the names knows where each event was counted. Raw events keep the real name.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from portal.core.database import Tx
from portal.usage.ingest import store
from portal.usage.ingest.validate import AccountDay, ResourceKey

MAX_NAMES = 1_000
MAX_CACHED_DAYS = 50_000
MAX_CACHED_NAMES = 500_000
"""In all days together: some hundred bytes each."""

NamesByDay = Mapping[AccountDay, frozenset[str]]


@dataclass(frozen=True, slots=True)
class CappedResources:
    """`overflow` is counted as `other`. `names` go to `ResourceCap.remember` once the transaction is committed."""

    overflow: set[ResourceKey]
    names: NamesByDay


class ResourceCap:
    """Caches the names of committed days; it asks the database only about names that this process has not met."""

    def __init__(self, max_names: int = MAX_NAMES) -> None:
        self._max_names = max_names
        self._cached: dict[AccountDay, frozenset[str]] = {}
        self._cached_names = 0

    async def apply(self, tx: Tx, resources: Iterable[ResourceKey]) -> CappedResources:
        """Admit resources as long as their day has room. Locks of days that grow are held to the end of `tx`."""
        resources = [*resources]
        found: dict[AccountDay, frozenset[str]] = {}
        unknown = self._unknown(resources, found)
        if unknown:
            rows = await store.list_resource_names(tx, [*unknown])
            found |= {day: frozenset(names) for day, names in rows.items()}
            unknown = self._unknown(resources, found)
        if unknown:
            found |= await self._admit(tx, unknown)
        overflow = {key for key in resources if key[2] not in self._names(key[:2], found)}
        return CappedResources(overflow, found)

    def remember(self, names: NamesByDay) -> None:
        """Cache the names of days that are committed."""
        if len(self._cached) > MAX_CACHED_DAYS or self._cached_names > MAX_CACHED_NAMES:
            self._cached.clear()
            self._cached_names = 0
        self._cached_names += sum(len(of_day) - len(self._cached.get(day, ())) for day, of_day in names.items())
        self._cached.update(names)

    def _names(self, day: AccountDay, found: NamesByDay) -> frozenset[str]:
        return found.get(day) or self._cached.get(day) or frozenset()

    def _unknown(self, resources: Iterable[ResourceKey], found: NamesByDay) -> dict[AccountDay, set[str]]:
        """Return the names that are not known, of days that have room for more."""
        unknown: dict[AccountDay, set[str]] = defaultdict(set)
        for account_id, day, name in resources:
            names = self._names((account_id, day), found)
            if name not in names and len(names) < self._max_names:
                unknown[account_id, day].add(name)
        return unknown

    async def _admit(self, tx: Tx, unknown: Mapping[AccountDay, set[str]]) -> dict[AccountDay, frozenset[str]]:
        """Add names in the order of their days, so that workers wait for one another in line."""
        locked = await store.lock_resource_names(tx, sorted(unknown))
        admitted: dict[AccountDay, frozenset[str]] = {}
        for day, names in locked.items():
            new = sorted(unknown[day] - {*names})[: self._max_names - len(names)]
            admitted[day] = frozenset((*names, *new))
        grown = {day: sorted(names) for day, names in admitted.items() if len(names) > len(locked[day])}
        await store.update_resource_names(tx, grown)
        return admitted
