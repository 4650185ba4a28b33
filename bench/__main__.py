"""`python -m bench [--quick] [--only NAME…] [--against CHECKOUT]`."""

import argparse
import asyncio
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.contenders import Options
from bench.install import CannotInstall, install
from bench.run import run


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench", description="Measure the check against peers and ceilings."
    )
    parser.add_argument("--quick", action="store_true", help="one round of 1 s: whether it works, not how fast it is")
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="contenders whose name begins so")
    parser.add_argument("--rounds", type=int, help="how many (5, or 1 with --quick)")
    parser.add_argument("--seconds", type=float, help="of each measurement (3, or 1 with --quick)")
    parser.add_argument(
        "--against", type=Path, metavar="CHECKOUT", help="another checkout with the same migrations, measured beside"
    )
    parser.add_argument("--history-rows", type=int, default=2_000_000, help="bucket rows that history is asked among")
    given = parser.parse_args(arguments)
    options = Options(
        only=tuple(given.only),
        rounds=given.rounds or (1 if given.quick else 5),
        seconds=given.seconds or (1.0 if given.quick else 3.0),
        against=given.against.resolve() if given.against else None,
        history_rows=given.history_rows,
    )
    try:
        install()
        return asyncio.run(_run(options))
    except asyncio.CancelledError:
        return 143
    except CannotInstall as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except KeyboardInterrupt:
        return 130


async def _run(options: Options) -> int:
    """SIGTERM ends it as Ctrl-C does: with everything stopped."""
    task = asyncio.ensure_future(run(options))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await task


if __name__ == "__main__":
    sys.exit(main())
