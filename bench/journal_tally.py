"""What a server has journalled, by code: read from its segments, each byte once."""

from collections import Counter
from pathlib import Path

from portal.usage.journal.segments import list_segments, read_chunk
from portal.usage.records import decode_batch, join_batch

MAX_READ = 10_000


class JournalTally:
    """`read` counts what has come since the last time; a segment that is complete and counted is deleted."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._offsets: dict[Path, int] = {}

    def read(self) -> Counter[str]:
        """Records by code. Raises AssertionError for damage or for an id that comes twice."""
        codes: Counter[str] = Counter()
        ids: set[str] = set()
        segments = list_segments(self._folder)
        for path in segments:
            while True:
                portion = read_chunk(path, self._offsets.get(path, 0), MAX_READ)
                assert portion.damage_at is None, f"{path} is damaged"  # noqa: S101 the run must end here
                records = decode_batch(join_batch(portion.payloads))
                codes.update(record.code for record in records)
                ids.update(record.request_id for record in records)
                self._offsets[path] = portion.end
                if not portion.has_more:
                    break
            if portion.is_final:
                path.unlink()
        assert len(ids) == codes.total(), "a request id was used twice"  # noqa: S101 the run must end here
        return codes
