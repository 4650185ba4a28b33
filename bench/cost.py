"""Did a change make a check dearer for the server? `python -m bench.cost --against CHECKOUT [--rounds 15]`.

What is measured
    CPU µs a check of the server: user and system time of the process that serves in `portal run --demo`, with all its
    threads and workers, and of Python processes that it starts; not of PostgreSQL, Valkey and the load generator. That
    is the check up to its answer *and* what follows for its usage, shipped and counted, since both are this process's
    work; what it uses when idle is subtracted. CPU time, because throughput on a shared machine says little.
    With `--alone` it is that of `portal serve --only check` on the same servers: up to the answer and nothing else. The
    sharper question, since what counting costs depends on how long the load lasts: transactions come by the clock.

How
    This checkout and CHECKOUT run side by side, each from its own .venv and on its own folder, and are driven from
    outside only: the `portal` command, its ready file, HTTP. So both may be built however they like. The one that is
    not measured idles. A round starts both anew (with the same hash seed), warms them, and sends for each kind the same
    checks four times: this, other, other, this, and the other way about in the next round, so that a drift of the
    machine hits both alike. Servers are not kept from one round to the next, because a process has its luck (where
    memory lies, in which order it was filled) for as long as it lives: two processes that are measured fifteen times
    are one sample of that, and the interval would be too narrow.

What is said
    For each kind the median of each side, and the ratio this ÷ other of the rounds with its 95 % interval (Student's t
    on the logarithms). The gate is 1.02. `within`: all of the interval lies below it. `dearer`: all of it lies above.
    `open`: the gate lies inside; more rounds or a quieter machine tell. Exit code 0 only when every kind is within, so
    1 means "not shown to be within 2 %", which few rounds on a busy machine cannot show either.

Limits
    CPU time is stretched severalfold too where other work shares the cores: by turns that hits both sides, yet the
    interval widens, and a run takes many times as long as on a quiet machine. `--checks` and `--kinds` shorten it.
    The load comes from one Python process in a closed loop: how many checks share a turn of the event loop, and so
    their cost, depends a little on how many cores are free. Compare within a run, never between runs. A part of the
    check that grows by 5 % may be 2 % of what is measured here: `python -m bench.breakdown` and `bench.profile` show
    parts. An answer that is not as expected, or degraded, ends the run with exit code 2.
"""

import argparse
import asyncio
import json
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import uvloop

from bench.closed_loop import ClosedLoop
from bench.contender import WrongAnswers
from bench.cost_kinds import KINDS, Kind, make_keys
from bench.demo_portal import DemoPortal
from bench.intervals import GATE, Interval, ratio_interval, verdict
from bench.processes import DidNotStart

CHECKOUT = Path(__file__).parents[1]
WARM_CHECKS = 1000
IDLE_SECONDS = 3.0
MAX_DEGRADED = 0.001
ENVIRONMENT = {"PORTAL_CHECK_DEADLINE_MS": "250", "PORTAL_GRAPHQL_ALLOWANCE": "10000000"}
"""On a machine that is busy on purpose every check shall still be decided by Redis; and keys are made in one go."""


@dataclass
class Side:
    """One of the two: its portal, its keys by kind, and CPU µs a check of each round by kind."""

    name: str
    portal: DemoPortal
    keys: dict[str, list[str]] = field(default_factory=dict)
    idle: float = 0.0
    rounds: dict[str, list[float]] = field(default_factory=dict)

    async def send(self, kind: Kind, checks: int) -> float:
        """Return the CPU seconds a check. Raises WrongAnswers."""
        requests = kind.requests(self.portal.facts["service_token"], self.keys[kind.name], checks)
        async with ClosedLoop(self.portal.url, kind.connections) as load:
            began, before = time.monotonic(), self.portal.cpu_seconds()
            answers = await load.send(requests)
            await self.portal.settle(self.idle)
            used = self.portal.cpu_seconds() - before - self.idle * (time.monotonic() - began)
        sent = len(requests) * kind.each
        if answers.degraded > sent * MAX_DEGRADED:
            raise WrongAnswers(f"{self.name}, {kind.name}: {answers.degraded} of {sent} answers are degraded")
        if answers.codes != {kind.expected: sent}:
            raise WrongAnswers(f"{self.name}, {kind.name}: {dict(answers.codes)} where {kind.expected} is right")
        return used / sent

    async def warm(self, kinds: Sequence[Kind]) -> None:
        """Load every policy and run the code hot. What is answered does not matter yet: a first check is no denial."""
        for kind in kinds:
            requests = kind.requests(self.portal.facts["service_token"], self.keys[kind.name], WARM_CHECKS)
            async with ClosedLoop(self.portal.url, kind.connections) as load:
                await load.send(requests)


@dataclass(frozen=True, slots=True)
class Run:
    """What was asked for."""

    against: Path
    kinds: Sequence[Kind]
    rounds: int
    checks: int
    is_check_alone: bool


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench.cost", description="Compare the server's CPU a check with another checkout's."
    )
    parser.add_argument("--against", type=Path, required=True, metavar="CHECKOUT", help="with a .venv of its own")
    parser.add_argument("--rounds", type=int, default=15, help="2 or more")
    parser.add_argument("--checks", type=int, default=4000, help="of each measurement; a round has four of each kind")
    parser.add_argument("--kinds", nargs="+", default=[*KINDS], choices=[*KINDS], metavar="KIND", help=", ".join(KINDS))
    parser.add_argument("--alone", action="store_true", help="measure `portal serve --only check`, without ingest")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every round there")
    given = parser.parse_args()
    if given.rounds < 2:
        parser.error("an interval needs two rounds at least")
    kinds = [KINDS[name] for name in given.kinds]
    run = Run(given.against.resolve(), kinds, given.rounds, given.checks, is_check_alone=given.alone)
    try:
        sides = uvloop.run(_compare(run))
    except asyncio.CancelledError:
        return 143
    except KeyboardInterrupt:
        return 130
    except (WrongAnswers, DidNotStart, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    found = {kind.name: ratio_interval(_pairs(sides, kind)) for kind in kinds}
    _tell("\n" + report(sides, found))
    if given.json:
        given.json.write_text(json.dumps({side.name: side.rounds for side in sides}, indent=2) + "\n")
    return 0 if all(verdict(interval) == "within" for interval in found.values()) else 1


async def _compare(run: Run) -> tuple[Side, Side]:
    """SIGTERM ends it as Ctrl-C does: with everything stopped."""
    task = asyncio.ensure_future(_run_rounds(run))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await task


async def _run_rounds(run: Run) -> tuple[Side, Side]:
    with tempfile.TemporaryDirectory(prefix="portal-cost-", ignore_cleanup_errors=True) as folder:
        this, other = [
            Side(name, DemoPortal(checkout, _make_folder(Path(folder), name), ENVIRONMENT, run.is_check_alone))
            for name, checkout in (("this", CHECKOUT), ("other", run.against))
        ]
        try:
            for number in range(run.rounds):
                await _start((this, other), run.kinds, number)
                order = (this, other, other, this) if number % 2 == 0 else (other, this, this, other)
                for kind in run.kinds:
                    await _measure(order, kind, run.checks)
                    portal_figures, theirs = this.rounds[kind.name][-1], other.rounds[kind.name][-1]
                    described = f"{portal_figures:7.2f} µs, other {theirs:7.2f} µs, ratio {portal_figures / theirs:.3f}"
                    _tell(f"{number + 1}/{run.rounds}  {kind.name:8} this {described}")
                await asyncio.gather(this.portal.stop(), other.portal.stop())
        finally:
            await asyncio.gather(this.portal.stop(), other.portal.stop())
    return this, other


async def _start(sides: Sequence[Side], kinds: Sequence[Kind], number: int) -> None:
    await asyncio.gather(*[side.portal.start(PYTHONHASHSEED=str(number + 1)) for side in sides])
    for side in sides:
        if not side.keys:
            side.keys = await make_keys(side.portal, kinds)
        await side.warm(kinds)
    await asyncio.sleep(1)
    for side, idle in zip(
        sides, await asyncio.gather(*[side.portal.idle_share(IDLE_SECONDS) for side in sides]), strict=True
    ):
        side.idle = idle


async def _measure(order: Sequence[Side], kind: Kind, checks: int) -> None:
    costs: dict[str, list[float]] = {}
    for side in order:
        costs.setdefault(side.name, []).append(await side.send(kind, checks))
    for side in {side.name: side for side in order}.values():
        side.rounds.setdefault(kind.name, []).append(sum(costs[side.name]) / len(costs[side.name]) * 1e6)


def _pairs(sides: tuple[Side, Side], kind: Kind) -> list[tuple[float, float]]:
    this, other = sides
    return list(zip(this.rounds[kind.name], other.rounds[kind.name], strict=True))


def report(sides: tuple[Side, Side], found: dict[str, Interval]) -> str:
    this, other = sides
    rows = [
        f"| CPU µs a check, median | this | other | this ÷ other | 95 % interval | gate {GATE} |",
        "|---|---|---|---|---|---|",
    ]
    rows += [
        f"| {name} | {median(this.rounds[name]):.2f} | {median(other.rounds[name]):.2f} | {interval.ratio:.4f} | "
        f"{interval.low:.4f} to {interval.high:.4f} | {verdict(interval)} |"
        for name, interval in found.items()
    ]
    return "\n".join(rows)


def _make_folder(parent: Path, name: str) -> Path:
    """Others may pass through it: PostgreSQL does not run as root."""
    folder = parent / name
    folder.mkdir()
    for place in (parent, folder):
        place.chmod(0o755)
    return folder


def _tell(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
