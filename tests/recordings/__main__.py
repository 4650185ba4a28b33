"""`python -m tests.recordings record|compare|upgrade`."""

import argparse
import signal
import sys
from pathlib import Path

from tests.recordings.compare import compare
from tests.recordings.record import record
from tests.recordings.upgrade import upgrade

OWN_PORTAL = Path(sys.executable).parent / "portal"


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.recordings", description="Black-box recordings of the product."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    recording = commands.add_parser("record", help="Write what the product answers into a folder.")
    recording.add_argument("folder", type=Path)
    recording.add_argument("--portal", type=Path, default=OWN_PORTAL, help="The command; else this environment's.")
    recording.add_argument("--only", nargs="+", default=[], metavar="FILE", help="Only these, like pages check.")
    comparing = commands.add_parser("compare", help="Print differences of two folders; exit 1 if there are any.")
    comparing.add_argument("before", type=Path)
    comparing.add_argument("after", type=Path)
    comparing.add_argument("--explained", type=Path, help="A file of `name-pattern: reason` lines.")
    upgrading = commands.add_parser("upgrade", help="Kill an old portal amid traffic, open its folder with a new one.")
    upgrading.add_argument("--from", dest="old", type=Path, required=True, help="The old command.")
    upgrading.add_argument("--portal", type=Path, default=OWN_PORTAL, help="The new one; else this environment's.")
    options = parser.parse_args()
    # Also where a shell started it in the background or a supervisor ends it: what was started is stopped.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    if options.command == "record":
        record(options.portal.absolute(), options.folder, set(options.only))
        return 0
    if options.command == "compare":
        return compare(options.before, options.after, options.explained)
    return upgrade(options.old.absolute(), options.portal.absolute())


if __name__ == "__main__":
    raise SystemExit(main())
