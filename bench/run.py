"""One run: start, warm, measure every contender by turns, write the results, stop."""

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

from bench.contender import Contender, Sample
from bench.contenders import CHECKOUT, Options, start_contenders
from bench.folders import own_folder
from bench.history import History
from bench.install import FOLDER
from bench.pages import Pages
from bench.processes import Processes
from bench.report import write_report
from bench.results import Measured, Results
from bench.world import open_world

RESULTS = FOLDER / "results"


async def run(options: Options) -> int:
    """0 when everything that was answered was right. Raises WrongAnswers otherwise."""
    started = datetime.now(UTC)
    samples: dict[str, list[Sample]] = {}
    with own_folder() as folder:
        async with open_world(folder) as world:
            with Processes(folder) as processes:
                contenders = await start_contenders(world, processes, _median_in(samples), options)
                machine = _machine()
                await _measure(contenders, options, samples)
        alone = [entry for entry in (History(options.history_rows), Pages(folder)) if options.is_wanted(entry.name)]
        await _measure(alone, replace(options, rounds=1), samples)
    measured = [Measured(entry.name, entry.unit, entry.about, samples[entry.name]) for entry in (*contenders, *alone)]
    results = Results(started, options.rounds, options.seconds, machine, measured)
    target = write_report(RESULTS, results)
    _tell(f"\n{(target / 'report.md').read_text()}\n{target}")
    return 0


async def _measure(contenders: Sequence[Contender], options: Options, samples: dict[str, list[Sample]]) -> None:
    """By turns, so that what disturbs the machine for a while disturbs all of them."""
    for number in range(options.rounds):
        for contender in contenders:
            sample = await contender.measure(options.seconds)
            samples.setdefault(contender.name, []).append(sample)
            _tell(f"{number + 1}/{options.rounds}  {contender.name:22} {sample.value:12,.3f} {contender.unit}")


def _median_in(samples: Mapping[str, Sequence[Sample]]) -> Callable[[str], float | None]:
    def median_of(name: str) -> float | None:
        found = samples.get(name)
        return median(sample.value for sample in found) if found else None

    return median_of


def _machine() -> dict[str, Any]:
    models = {line.partition(":")[2].strip() for line in _lines(Path("/proc/cpuinfo")) if line.startswith("model name")}
    return {
        "cores": os.cpu_count(),
        "cpu": ", ".join(sorted(models)) or platform.processor(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "uvloop": version("uvloop"),
        "msgspec": version("msgspec"),
        "commit": _commit(),
        "load_before": os.getloadavg()[0],
    }


def _commit() -> str:
    git = shutil.which("git")
    if git is None:
        return ""
    command = [git, "describe", "--always", "--dirty"]
    return subprocess.run(  # noqa: S603 our own command
        command, cwd=CHECKOUT, capture_output=True, text=True, check=False
    ).stdout.strip()


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def _tell(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
