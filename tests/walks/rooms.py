"""Why a walk enters more files than its guide: the boundaries of docs/architecture.md that it crosses, room by room.

A boundary is worth more than a number. A file belongs to the room with the longest prefix that it begins with; the
report says of each walk above its guide which rooms it crosses, how many files of each, and why they stand apart.
"""

from collections.abc import Iterable

ROOMS = {
    "portal/accounts/": "people, sessions and tokens are three things that are looked up apart",
    "portal/audit/": "each verb writes one row: the chain is one file, its statements another",
    "portal/billing/": "money: pure functions, a step a file, each covered by branch",
    "portal/check/": "the decision: what is asked, decided, answered and written down",
    "portal/check/policy/": "what a check knows of a key, and how a change makes that useless",
    "portal/core/": "one fact, one place: clock, ids, actor, settings, database, outages are shared by all domains",
    "portal/graphql/engine/": "how any operation is bounded, charged and executed: a stage a file",
    "portal/graphql/types/": "one file a domain, each the only place that knows how a caller sees it",
    "portal/graphql/": "the schema joins the types of all domains, and nothing else does",
    "portal/keys/": "the verb, the rules, the secret, the statements: what an account may do stands in one file each",
    "portal/keys/restore/": "what must hold although PostgreSQL was restored is one idea, apart from the verbs",
    "portal/limits/": "knows its subjects only as opaque names: the batch, its encoding, the link and its clock",
    "portal/plans/": "what an account may do, over time: rules without I/O, and the statements",
    "portal/runtime/": "wiring: the worker set starts what runs by itself",
    "portal/usage/": "records and pure arithmetic that the journal, ingest and history share",
    "portal/usage/history/": "which buckets, their statements and the series are tested apart",
    "portal/usage/ingest/": "a stage of the pipeline a file: batch, validate, cap, insert, raise the counters",
    "portal/usage/journal/": "the format on disk outlives a process; writing and shipping run in different loops",
    "portal/usage/periods/": "billing asks it and a check never does",
    "portal/usage/retention/": "how long usage is kept decides what ingest still counts",
    "web/": "what a process is made of: one container",
    "web/auth/": "who asks: a page's session and a program's token",
    "web/check/": "the lane, the handler, the reply and what is counted of it, none of which knows the transport below",
    "web/connection/": "HTTP/1.1 in our hands: head, body, exchange, budget and time are bounded each by itself",
    "web/graphql/": "how GraphQL arrives: by HTTP, events and sockets, which share one request and one response",
    "web/http/": "what several transports need of HTTP, once",
    "web/middleware/": "what wraps every request: one file a concern, in the order that web.app gives",
    "web/pages/": "a page area a folder: what it asks, computes and shows",
    "web/pages/framework/": "what every page is built with",
    "workers/": "the loop only",
}
"""Folder (with what lies below it) → why its files are not one with their callers'."""


def room_of(file: str) -> str:
    """Return the room of a file. Raises KeyError for a file in none."""
    rooms = [room for room in ROOMS if file.startswith(room)]
    if not rooms:
        raise KeyError(file)
    return max(rooms, key=len)


def crossings(files: Iterable[str]) -> list[tuple[str, int, str]]:
    """Return the rooms that a walk enters, in order: room, how many of its files, why it stands apart."""
    counts: dict[str, int] = {}
    for file in files:
        room = room_of(file)
        counts[room] = counts.get(room, 0) + 1
    return [(room, count, ROOMS[room]) for room, count in counts.items()]
