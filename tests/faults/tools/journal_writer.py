"""A process that journals records one after another and tells which were acknowledged. Arguments: FOLDER SYNC_MS COUNT.

A record that is refused is tried again, ATTEMPTS times in all. With `at-end` it tells only then, by one write; with
`stop` the first refusal is the end; with `no-close` the journal is left as after a kill.
"""

import os
import sys
import time
from contextlib import suppress
from pathlib import Path

from portal.core.logs import configure_logs
from portal.usage import Journal, JournalUnavailable
from tests.usage.sample import record

ATTEMPTS = 400
PAUSE_SECONDS = 0.004


def main() -> None:
    folder, sync_ms, count = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    configure_logs()
    told = []
    journal = Journal(folder, segment_bytes=3000, sync_ms=sync_ms)
    journal.open()
    for number in range(count):
        line = f"{number}\n" if is_appended(journal, number) else "refused\n"
        told.append(line)
        if "at-end" not in sys.argv:
            sys.stdout.write(line)
            sys.stdout.flush()
        if line == "refused\n" and "stop" in sys.argv:
            break
        time.sleep(PAUSE_SECONDS)
    if "no-close" not in sys.argv:
        journal.close()
    if "at-end" in sys.argv:
        tell("".join(told).encode())


def tell(text: bytes) -> None:
    """Also where every so-many-th write fails."""
    for _ in range(ATTEMPTS):
        with suppress(OSError):
            os.write(1, text)
            return


def is_appended(journal: Journal, number: int) -> bool:
    for _ in range(ATTEMPTS):
        try:
            journal.append([record(number)])
        except JournalUnavailable:
            time.sleep(PAUSE_SECONDS)
        else:
            return True
    return False


if __name__ == "__main__":
    main()
