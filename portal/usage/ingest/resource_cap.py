"""Which resources have buckets of their own: the first thousand of an account's day; all others share one, `other`.

Exact under any number of workers and repetitions, because a day's names are only ever added, under a lock on the
account's day, until there are a thousand: from then on no name comes or goes. So a name has its own bucket for all of
its events or for none, and who knows the names knows where each event was counted. Raw events keep the real name.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import date

from portal.core.database import Tx
from portal.usage.ingest import store
from portal.usage.ingest.validate import ResourceKey

MAX_NAMES = 1_000
DAYS_REMEMBERED = 50_000
NAMES_REMEMBERED = 500_000
"""In all days together: some hundred bytes each."""
Day = tuple[str, date]


class ResourceNames:
    """What this process knows of committed days; it asks the database only about names that it has not met."""

    def __init__(self, most: int = MAX_NAMES) -> None:
        self._most = most
        self._known: dict[Day, frozenset[str]] = {}
        self._remembered = 0

    async def beyond(
        self, tx: Tx, named: Iterable[ResourceKey]
    ) -> tuple[set[ResourceKey], Mapping[Day, frozenset[str]]]:
        """Those that are counted as `other`, and what to `remember` once the transaction is committed."""
        named = [*named]
        found: dict[Day, frozenset[str]] = {}
        unknown = self._unmet(named, found)
        if unknown:
            found |= {day: frozenset(names) for day, names in (await store.list_names(tx, [*unknown])).items()}
            unknown = self._unmet(named, found)
        if unknown:
            found |= await self._admit(tx, unknown)
        others = {one for one in named if one[2] not in self._names(one[:2], found)}
        return others, found

    def remember(self, found: Mapping[Day, frozenset[str]]) -> None:
        if len(self._known) > DAYS_REMEMBERED or self._remembered > NAMES_REMEMBERED:
            self._known.clear()
            self._remembered = 0
        self._remembered += sum(len(names) - len(self._known.get(day, ())) for day, names in found.items())
        self._known.update(found)

    def _names(self, day: Day, found: Mapping[Day, frozenset[str]]) -> frozenset[str]:
        return found.get(day) or self._known.get(day) or frozenset()

    def _unmet(self, named: Iterable[ResourceKey], found: Mapping[Day, frozenset[str]]) -> dict[Day, set[str]]:
        """By day, where there is room for more."""
        unmet: dict[Day, set[str]] = defaultdict(set)
        for account_id, day, name in named:
            names = self._names((account_id, day), found)
            if name not in names and len(names) < self._most:
                unmet[account_id, day].add(name)
        return unmet

    async def _admit(self, tx: Tx, unknown: Mapping[Day, set[str]]) -> dict[Day, frozenset[str]]:
        """Locks the days in order, so that workers wait for one another in line; holds them to the end of `tx`."""
        locked = await store.lock_names(tx, sorted(unknown))
        admitted: dict[Day, frozenset[str]] = {}
        for day, names in locked.items():
            new = sorted(unknown[day] - {*names})[: self._most - len(names)]
            admitted[day] = frozenset((*names, *new))
        await store.update_names(
            tx, {day: sorted(names) for day, names in admitted.items() if len(names) > len(locked[day])}
        )
        return admitted
