"""A process that journals as a server does, and notes what it may answer for: `python -m` this module with JSON.

It is there to be killed. After each append, and never before, it notes how many records are journalled and the id of
the last one; so what is noted must be counted, and what is counted must have been about to be noted.
"""

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from random import Random
from time import monotonic, sleep
from typing import NamedTuple

from portal.check.request_ids import RequestIds
from portal.core.clock import utc_now
from portal.usage import Journal, UsageRecord

RESOURCES = ("orders.list", "orders.create", "search")
KEYS = 5
IDLE_SECONDS = 0.1


@dataclass(frozen=True)
class Feed:
    """`rate` records a second in appends of `portion`, `most` in all, until the stop file is there or it is killed."""

    folder: str
    notes: str
    account_id: str
    rate: int
    portion: int
    most: int
    stop: str

    def to_json(self) -> str:
        return json.dumps(asdict(self))


class FeedNote(NamedTuple):
    """`last_id` of `records` records that were journalled for sure; at most `portion` more may be."""

    account_id: str
    records: int
    last_id: str


def read_feed_notes(folder: Path) -> list[FeedNote]:
    """The last whole line of each; a feeder that was killed before its first append has none."""
    found = []
    for file in sorted(folder.glob("*.feed")):
        whole = file.read_text().rpartition("\n")[0]
        if whole:
            count, last_id = whole.rpartition("\n")[2].split()
            found.append(FeedNote(file.stem, int(count), last_id))
    return found


def main() -> None:
    feed = Feed(**json.loads(sys.argv[1]))
    journal = Journal(Path(feed.folder), segment_bytes=4 << 20, sync_ms=200)
    journal.open()
    records, stop = _records(feed.account_id), Path(feed.stop)
    count, begin = 0, monotonic()
    with Path(feed.notes, f"{feed.account_id}.feed").open("w") as notes:
        while not stop.exists():
            if count >= feed.most:
                sleep(IDLE_SECONDS)
                continue
            portion = list(islice(records, feed.portion))
            journal.append(portion)
            count += feed.portion
            notes.write(f"{count} {portion[-1].request_id}\n")
            notes.flush()
            sleep(max(0.0, begin + count / feed.rate - monotonic()))
    journal.close()


def _records(account_id: str) -> Iterator[UsageRecord]:
    ids, draw = RequestIds(), Random(5)  # noqa: S311 the same load, not a secret
    while True:
        key = draw.randrange(KEYS)
        code, cost = ("VALID", draw.randrange(1, 4)) if draw.random() < 0.9 else ("RATE_LIMITED", 1)
        yield UsageRecord(
            *(ids.next(ids.now_us()), account_id, f"{account_id}_k{key}", f"{account_id}_s{key}", "live"),
            *(draw.choice(RESOURCES), code, cost, f"{utc_now():%Y-%m}", "203.0.113.7"),
        )


if __name__ == "__main__":
    main()
