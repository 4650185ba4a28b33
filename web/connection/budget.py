"""How many connections a process holds, and which one goes when another comes.

Descriptors are finite, and a process that has none left can neither answer nor write its journal. So connections are
counted below the limit, whatever they do: wait, ask, upload, download, subscribe. When the budget is full, the one goes
that has shown least and for longest:

    SILENT     has not sent one whole request, or is ending; the oldest first, and after the anonymous if they are more
    ANONYMOUS  has, but without a valid token or session; the one goes first whose last request is longest ago
    RETURNING  the same, for a while already: a probe, say, that comes again and again
    PERSON     somebody is signed in; goes only while nothing of theirs is under way
    GATEWAY    a valid service token was sent; never goes

An address has a share of the budget, so that one flood ends itself first; gateways, and the proxies that the provider
names, have no share. If nobody can go, the new connection is told so (503) and ended.
"""

import resource
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from ipaddress import IPv6Address
from pathlib import Path
from time import monotonic
from typing import Any, Protocol

import prometheus_client
from starlette.requests import HTTPConnection

RESERVED_DESCRIPTORS = 96
"""For journal, Redis, PostgreSQL, log, files that are being served, and what has been accepted but not yet counted."""
MIN_CONNECTIONS = 16
RETURNING_SECONDS = 5.0
MAX_CONNECTIONS = 10_000
"""Where no setting says otherwise."""
ENDED = prometheus_client.Counter(
    "portal_connections_ended", "Connections ended because the budget was full.", ["reason"]
)


class Rank(IntEnum):
    """What a connection has shown."""

    SILENT = 0
    ANONYMOUS = 1
    RETURNING = 2
    PERSON = 3
    GATEWAY = 4


class Connection(Protocol):
    """What the budget asks of a connection."""

    @property
    def is_idle(self) -> bool:
        """Return whether nothing is under way."""
        ...

    def abort(self) -> None:
        """End at once and release the descriptor."""
        ...


@dataclass(slots=True)
class _Place:
    """What is noted of a connection; `name` is the share that it counts for, if any."""

    name: str
    rank: Rank
    admitted_at: float


class ConnectionBudget:
    """The connections of this process, by rank, each in the order of its last request."""

    def __init__(
        self, capacity: int, address_share: int | None = None, *, is_exempt: Callable[[str], bool] = lambda _: False
    ) -> None:
        self.capacity = capacity
        self.is_draining = False
        """Whether this process is about to stop, and should get nothing new."""
        self._address_share = min(capacity, address_share or max(MIN_CONNECTIONS, capacity // 2))
        self._is_exempt = is_exempt
        self._ranks: tuple[dict[Connection, _Place], ...] = tuple({} for _ in Rank)
        self._places: dict[Connection, _Place] = {}
        self._by_address: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._places)

    def admit(self, connection: Connection, address: str) -> bool:
        """Count a new connection, in the place of another one if need be. Return False when it must be refused."""
        name = "" if not address or self._is_exempt(address) else _network(address)
        has_room = not name or self._by_address[name] < self._address_share or self._evict(name)
        if not has_room or (len(self._places) >= self.capacity and not self._evict(None)):
            ENDED.labels("refused").inc()
            return False
        place = _Place(name, Rank.SILENT, monotonic())
        self._places[connection] = self._ranks[Rank.SILENT][connection] = place
        if name:
            self._by_address[name] += 1
        return True

    def touch(self, connection: Connection) -> None:
        """Note a whole request: from now on this connection has been idle for the shortest time."""
        place = self._places.get(connection)
        if place is not None and place.rank is not Rank.GATEWAY:
            is_returning = monotonic() - place.admitted_at >= RETURNING_SECONDS
            self._move(connection, place, max(place.rank, Rank.RETURNING if is_returning else Rank.ANONYMOUS))

    def prove(self, connection: Connection, rank: Rank) -> None:
        """Note that a valid token or session was sent. A rank is never lowered."""
        place = self._places.get(connection)
        if place is not None and place.rank < rank:
            self._move(connection, place, rank)

    def settle(self, connection: Connection) -> None:
        """Note that this connection is ending: it may go first."""
        place = self._places.get(connection)
        if place is not None:
            self._move(connection, place, Rank.SILENT)

    def remove(self, connection: Connection) -> None:
        """Count a connection no longer."""
        place = self._places.pop(connection, None)
        if place is None:
            return
        del self._ranks[place.rank][connection]
        if place.name and place.rank is not Rank.GATEWAY:
            self._count(place.name, -1)

    def _move(self, connection: Connection, place: _Place, rank: Rank) -> None:
        """Put a connection at the end of a rank. A gateway's counts for no share."""
        del self._ranks[place.rank][connection]
        if place.name and (place.rank is Rank.GATEWAY) is not (rank is Rank.GATEWAY):
            self._count(place.name, -1 if rank is Rank.GATEWAY else 1)
        place.rank = rank
        self._ranks[rank][connection] = place

    def _count(self, name: str, change: int) -> None:
        self._by_address[name] += change
        if not self._by_address[name]:
            del self._by_address[name]

    def _evict(self, name: str | None) -> bool:
        """End the connection that has shown least, of an address if one is named; False if there is none."""
        # Of these two the crowd goes first: its oldest is no newcomer that is about to send its first request.
        first, second = sorted((Rank.SILENT, Rank.ANONYMOUS), key=lambda rank: -len(self._ranks[rank]))
        for rank in (first, second, Rank.RETURNING, Rank.PERSON):
            for connection, place in self._ranks[rank].items():
                if (name is None or name == place.name) and (rank < Rank.PERSON or connection.is_idle):
                    self.remove(connection)
                    ENDED.labels("evicted").inc()
                    connection.abort()
                    return True
        return False


def measure_capacity(max_connections: int, reserved: int) -> int:
    """Return how many connections this process can hold: what is asked for, as far as descriptors allow.

    `reserved` descriptors, and those that are open, are left to others. Raises the soft limit as far as the hard one.
    """
    wanted = max_connections + reserved + len([*Path("/dev/fd").iterdir()])
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        raised = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (raised, hard))
        soft = raised
    allowed = wanted if soft == resource.RLIM_INFINITY else min(wanted, soft)
    return max(MIN_CONNECTIONS, min(max_connections, max_connections - (wanted - allowed)))


def budget_of(app: Any) -> ConnectionBudget:
    """Return the budget in `app.state.connection_budget`, made now where nobody has."""
    budget: ConnectionBudget | None = getattr(app.state, "connection_budget", None)
    if budget is None:
        budget = ConnectionBudget(measure_capacity(MAX_CONNECTIONS, RESERVED_DESCRIPTORS))
        app.state.connection_budget = budget
    return budget


def _network(address: str) -> str:
    """Return the name of an address's share: itself, or for IPv6 the /64 that one customer of a provider has."""
    if ":" not in address:
        return address
    try:
        parsed = IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    return str(parsed.ipv4_mapped) if parsed.ipv4_mapped else f"{int(parsed) >> 64:x}"


def note_rank(request: HTTPConnection, rank: Rank) -> None:
    """Note that a valid token or session came with this request; no-op where there is no connection, as in tests."""
    connection = request.scope.get("state", {}).get("connection")
    if connection is not None:
        connection.prove(rank)
