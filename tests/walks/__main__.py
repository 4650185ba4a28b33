"""`python -m tests.walks [--json FILE] [--repeat N]`: run the portal here, walk, print, stop."""

import argparse
import ast
import contextlib
import json
import os
import re
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from importlib.metadata import entry_points
from pathlib import Path
from time import monotonic, sleep
from typing import Any, TextIO

from tests.walks.attribution import Walk
from tests.walks.measure import Plan, measure_walks
from tests.walks.recorder import Recorder
from tests.walks.rooms import crossings

ROOT = Path(__file__).parents[2]
READY_SECONDS = 180.0


class Failed(Exception):
    """No figures. The text says why."""


class Walker(threading.Thread):
    """Waits for the ready file, walks, then stops the portal as Ctrl-C does."""

    def __init__(self, recorder: Recorder, ready_file: Path, repeat: int) -> None:
        super().__init__(name="walker", daemon=True)
        self.walks: dict[Plan, Walk] = {}
        self.helpers: list[str] = []
        self.error: Exception | None = None
        self.is_over = threading.Event()
        self.recorder = recorder
        self._ready_file = ready_file
        self._repeat = repeat

    def run(self) -> None:
        sys.setprofile(None)
        try:
            facts = self._wait_for_facts()
            self.helpers = _python_children()
            self.walks = measure_walks(self.recorder, facts, self._repeat)
        except Exception as error:
            self.error = error
        finally:
            if not self.is_over.is_set():
                os.kill(os.getpid(), signal.SIGINT)

    def _wait_for_facts(self) -> dict[str, Any]:
        until = monotonic() + READY_SECONDS
        while not self._ready_file.exists():
            if self.is_over.is_set():
                raise Failed("The portal ended before it answered.")
            if monotonic() > until:
                raise Failed(f"The portal did not answer within {READY_SECONDS:.0f} s.")
            sleep(0.05)
        facts: dict[str, Any] = json.loads(self._ready_file.read_text())
        return facts


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.walks", description="Files of ours that a request enters.")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the walks there too")
    parser.add_argument(
        "--repeat", type=int, default=12, help="repetitions of each walk; what all of them enter counts"
    )
    given = parser.parse_args()
    try:
        walker = walk(given.repeat)
    except Failed as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(report(walker.walks))
    for helper in walker.helpers:
        sys.stdout.write(f"Not seen: what process {helper} does for a request.\n")
    if given.json:
        given.json.write_text(json.dumps(_document(walker.walks), indent=2) + "\n")
    return 0


def walk(repeat: int) -> Walker:
    """Run the portal on a folder of its own until all walks are done. Raises Failed."""
    with _own_folder() as folder:
        walker = Walker(Recorder(ROOT), folder / "ready.json", repeat)
        arguments = ["run", "--demo", "--port", "0", "--data", str(folder / "data")]
        with (folder / "output").open("w+") as output:
            _run_portal(walker, [*arguments, "--ready-file", str(folder / "ready.json")], output)
            output.seek(0)
            if walker.error is not None:
                raise Failed(f"{output.read()[-3000:]}\n{walker.error}") from walker.error
    return walker


def _run_portal(walker: Walker, arguments: list[str], output: TextIO) -> None:
    """Its command in this thread, which must be the main one: it handles signals."""
    (command,) = entry_points(group="console_scripts", name="portal")
    portal = command.load()
    before = sys.argv
    sys.argv = ["portal", *arguments]
    walker.recorder.install()
    walker.start()
    try:
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
            portal()
    except (SystemExit, KeyboardInterrupt):
        pass
    finally:
        walker.is_over.set()
        sys.setprofile(None)
        threading.setprofile(None)
        sys.argv = before
        walker.join()


def report(walks: Mapping[Plan, Walk]) -> str:
    """Return a table, then each walk's files in order of first entry, each with what it says that it is for.

    A walk above its guide is followed by the rooms that it crosses, with the reason for each.
    """
    width = max(len(plan.name) for plan in walks)
    lines = [f"{'walk':<{width}}  files  guide"]
    lines += [f"{plan.name:<{width}}  {len(walk.files):5}  {'≤ ' + str(plan.guide):>5}" for plan, walk in walks.items()]
    for plan, walk in walks.items():
        lines += ["", f"{plan.name}: {len(walk.files)} files (guide: at most {plan.guide})"]
        longest = max(map(len, walk.files), default=0)
        lines += [f"{number:4}  {file:<{longest}}  {purpose(file)}" for number, file in enumerate(walk.files, 1)]
        if len(walk.files) > plan.guide:
            lines += [
                "",
                f"{plan.name}: {len(walk.files) - plan.guide} above its guide, for it crosses these rooms:",
            ]
            lines += [f"{count:4}  {room:<{longest}}  {reason}" for room, count, reason in crossings(walk.files)]
    return "\n".join(lines) + "\n"


def purpose(file: str) -> str:
    """Return the first line of a file's docstring; of a template, its first comment."""
    text = (ROOT / file).read_text(encoding="utf-8")
    if file.endswith(".py"):
        return (ast.get_docstring(ast.parse(text)) or "").partition("\n")[0]
    comment = re.search(r"{#-?\s*(.*?)\s*-?#}", text, re.DOTALL)
    return comment[1].partition("\n")[0] if comment else "a template of the page"


def _document(walks: Mapping[Plan, Walk]) -> list[dict[str, Any]]:
    return [{"walk": plan.name, "guide": plan.guide, **asdict(walk)} for plan, walk in walks.items()]


@contextlib.contextmanager
def _own_folder() -> Iterator[Path]:
    """Gone afterwards. Others may pass through it: PostgreSQL does not run as root."""
    with tempfile.TemporaryDirectory(prefix="portal-walks-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


def _python_children() -> list[str]:
    """Python processes that were started by this one, as `pid (command)`."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            name, _, rest = stat.read_text().partition(" (")[2].rpartition(") ")
            if rest.split()[1] == str(os.getpid()) and name.startswith("python"):
                found.append(f"{stat.parent.name} ({name})")
    return found


if __name__ == "__main__":
    sys.exit(main())
