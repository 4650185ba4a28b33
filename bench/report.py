"""Write a run down: raw JSON, a Markdown page, and plots."""

import math
from pathlib import Path
from typing import Any

import msgspec

from bench.plot import bars, lines
from bench.results import Measured, Results
from bench.tables import cpu_table, history_table, pages_table
from bench.targets import ELSEWHERE, FULL, OPEN, TARGETS, Target

PERCENTILES = {"p50": "p50_ms", "p90": "p90_ms", "p99": "p99_ms", "p99.9": "p999_ms", "max": "max_ms"}


def write_report(folder: Path, results: Results) -> Path:
    """The run's own folder; `latest.md` beside it says the same."""
    name = f"{results.started:%Y-%m-%dT%H%M%SZ}"
    target = folder / name
    target.mkdir(parents=True)
    raw = msgspec.json.format(msgspec.json.encode(_raw(results)), indent=1)
    (target / "results.json").write_bytes(raw + b"\n")
    plots = _plots(target, results)
    (target / "report.md").write_text(_page(results, plots, ""))
    (folder / "latest.md").write_text(_page(results, plots, f"{name}/"))
    return target


def _raw(results: Results) -> dict[str, Any]:
    return {
        "started": results.started,
        "rounds": results.rounds,
        "seconds": results.seconds,
        "machine": results.machine,
        "contenders": [
            {
                "name": row.name,
                "unit": row.unit,
                "about": row.about,
                "median": row.median,
                "rounds": [{"value": sample.value, **sample.details} for sample in row.samples],
            }
            for row in results.measured
        ],
    }


def _plots(target: Path, results: Results) -> list[str]:
    """Names of the files that there was something to draw for."""
    over_http = [row for row in results.measured if row.unit == "checks/s" and not row.name.startswith("redis.")]
    redis = [row for row in results.measured if row.name.startswith("redis.")]
    drawn = {
        "over-http.svg": bars("Checks a second over HTTP (median)", [(row.name, row.median) for row in over_http]),
        "cpu.svg": bars(
            "CPU µs a check, server and Valkey",
            [(row.name, _cpu(row)) for row in results.over_http() if _cpu(row)],
        ),
        "redis-alone.svg": bars("Decisions a second, Redis alone (median)", [(row.name, row.median) for row in redis]),
        "open-loop.svg": lines("Open loop: latency in ms by percentile", _percentiles(results)),
    }
    for name, svg in drawn.items():
        if svg:
            (target / name).write_text(svg)
    return [name for name, svg in drawn.items() if svg]


def _cpu(row: Measured) -> float:
    return (row.detail("cpu_server_us") or 0.0) + (row.detail("cpu_valkey_us") or 0.0)


def _percentiles(results: Results) -> list[tuple[str, float]]:
    found = results.find(OPEN)
    if found is None:
        return []
    return [(label, value) for label, name in PERCENTILES.items() if (value := found.detail(name)) is not None]


def _page(results: Results, plots: list[str], prefix: str) -> str:
    machine = results.machine
    parts = [
        f"# Benchmark of {results.started:%Y-%m-%d %H:%M} UTC",
        f"{machine['cores']} cores ({machine['cpu']}), {machine['system']}, Python {machine['python']}, commit"
        f" {machine['commit']}. Load generator, servers, Valkey and PostgreSQL share them; load before the run"
        f" {machine['load_before']:.2f}. Medians of {results.rounds} interleaved rounds of {results.seconds:g} s.",
        _targets(results, prefix),
        _verdict(results),
        "## All contenders",
        _contenders(results),
        "Each round was counted only with its answers right: no error, every answer in the journal with the code that"
        " it has to have, and as many units in Redis as the journal has admissions (less those that a missed deadline"
        " answered by the failure policy: see `degraded` in results.json). All limits are so high that everything is"
        " admitted, but where it says denied. Peers and ceilings have one worker each, as our process has.",
        *_section("## CPU time of a check, µs", cpu_table(results)),
        *_section("## Pages: the slowest statements, and the pages that are slowest as a whole", pages_table(results)),
        *_section("## History", history_table(results)),
        *[f"![{name}]({prefix}{name})" for name in plots],
    ]
    return "\n\n".join(parts) + "\n"


def _section(title: str, table: str) -> list[str]:
    return [title, table] if table else []


def _targets(results: Results, prefix: str) -> str:
    rows = ["| figure | target | beyond | measured | met? |", "|---|---|---|---|---|"]
    rows += [_target_row(target, results) for target in TARGETS]
    rows += [row.format(history="history.md" if prefix else "../history.md") for row in ELSEWHERE]
    return "\n".join(rows)


def _verdict(results: Results) -> str:
    """In words, so that nobody has to count."""
    targets = [target for target in TARGETS if not math.isinf(target.target)]
    measured = [(target, value) for target in targets if (value := target.measured(results)) is not None]
    missed = [target.figure for target, value in measured if not target.is_met(value)]
    beyond = sum(target.is_beyond(value) for target, value in measured)
    described = f"Of {len(targets)} targets this run measured {len(measured)}: {len(measured) - len(missed)} are met"
    return f"{described}, {beyond} of them beyond; missed: {', '.join(missed) or 'none'}."


def _target_row(target: Target, results: Results) -> str:
    value = target.measured(results)
    sign = "≤" if target.is_most else "≥"
    goal = "–" if math.isinf(target.target) else f"{sign} {target.form.format(target.target)}"
    shown, verdict = "not measured", "–"
    if value is not None:
        shown = target.form.format(value)
        verdict = "beyond" if target.is_beyond(value) else "yes" if target.is_met(value) else "**no**"
        verdict = "not beyond" if verdict == "yes" and math.isinf(target.target) else verdict
    return f"| {target.figure} | {goal} | {sign} {target.form.format(target.beyond)} | {shown} | {verdict} |"


def _contenders(results: Results) -> str:
    rows = [
        "| contender | median | lowest – highest | full check ÷ this | p50 / p99 ms | what |",
        "|---|---|---|---|---|---|",
    ]
    full = results.find(FULL)
    return "\n".join(rows + [_contender_row(row, full) for row in results.measured])


def _contender_row(row: Measured, full: Measured | None) -> str:
    form = "{:,.0f}" if row.median >= 100 else "{:.3f}"
    low, high = row.spread
    ratio = f"{full.median / row.median:.2f}" if full and row.unit == "checks/s" else ""
    return (
        f"| {row.name} | {form.format(row.median)} {row.unit} | {form.format(low)} – {form.format(high)} "
        f"| {ratio} | {_latencies(row)} | {row.about}{_memory(row)}{_late(row)} |"
    )


def _latencies(row: Measured) -> str:
    if row.name == OPEN:
        return f"{row.detail('p50_ms') or 0:.2f} / {row.detail('p99_ms') or 0:.2f}"
    p50, p99 = row.detail("p50_us"), row.detail("p99_us")
    return f"{p50 / 1000:.2f} / {p99 / 1000:.2f}" if p50 is not None and p99 is not None else ""


def _memory(row: Measured) -> str:
    size = row.detail("bytes_a_log")
    return f"; {size:,.0f} bytes a log" if size else ""


def _late(row: Measured) -> str:
    """What of an open loop's latencies is the generator's own."""
    p50, p99 = row.detail("sent_late_p50_ms"), row.detail("sent_late_p99_ms")
    if p50 is None or p99 is None:
        return ""
    return f"; {row.detail('rate') or 0:,.0f} a second, sent {p50:.2f} / {p99:.2f} ms late"
