"""The targets, and how a run meets them: each from one contender of the run, or with a word where it is proven."""

from collections.abc import Callable
from dataclasses import dataclass

from bench.results import Results

FULL, OPEN = "check.windows.c32", "open_loop"


@dataclass(frozen=True, slots=True)
class Target:
    """`is_most`: the figure shall stay below. `measured`: None where the run has not what it takes."""

    figure: str
    target: float
    beyond: float
    form: str
    measured: Callable[[Results], float | None]
    is_most: bool = False

    def is_met(self, value: float) -> bool:
        return value <= self.target if self.is_most else value >= self.target

    def is_beyond(self, value: float) -> bool:
        return value <= self.beyond if self.is_most else value >= self.beyond


def _ratio(name: str) -> Callable[[Results], float | None]:
    def measured(results: Results) -> float | None:
        portal_figures, other = results.find(FULL), results.find(name)
        return portal_figures.median / other.median if portal_figures and other else None

    return measured


def _median(name: str) -> Callable[[Results], float | None]:
    def measured(results: Results) -> float | None:
        found = results.find(name)
        return found.median if found else None

    return measured


def _detail(name: str, detail: str) -> Callable[[Results], float | None]:
    def measured(results: Results) -> float | None:
        found = results.find(name)
        return found.detail(detail) if found else None

    return measured


def _wrong_denials(results: Results) -> float | None:
    """A denial in a contender whose checks all have to pass fails the run, so what has ended has none."""
    return 0 if results.find("check.windows.c1") else None


TARGETS = (
    Target("full check at 32 connections ÷ fastify stack", 2.5, 5, "{:.2f} ×", _ratio("fastify.c32")),
    Target("÷ FastAPI + limits", 9, 20, "{:.2f} ×", _ratio("fastapi.c32")),
    Target("÷ the HTTP ceiling", 0.2, 0.5, "{:.3f} ×", _ratio("ceiling.bytes.c32")),
    Target("batch, 100 a request, two processes, checks/s", 100_000, 250_000, "{:,.0f}", _median("batch.two")),
    Target("open loop at half of saturation, p50 ms", 0.3, 0.15, "{:.3f}", _detail(OPEN, "p50_ms"), is_most=True),
    Target("open loop, p99 ms", 1.0, 1.0, "{:.3f}", _detail(OPEN, "p99_ms"), is_most=True),
    Target("open loop, p99.9 ms", float("inf"), 1.0, "{:.3f}", _detail(OPEN, "p999_ms"), is_most=True),
    Target("wrong denials, one client", 0, 0, "{:.0f}", _wrong_denials, is_most=True),
    Target("history query of one account, worst p95 ms", 100, 20, "{:.1f}", _median("history"), is_most=True),
    Target("any single SQL statement of a page, worst p95 ms", 10, 2, "{:.2f}", _median("pages"), is_most=True),
    Target("ingest, journal to committed buckets, events/s", 30_000, 100_000, "{:,.0f}", _median("ingest")),
    Target("ingest, lag at 30,000 events/s, s", 2, 2, "{:.2f}", _detail("ingest", "lag_seconds"), is_most=True),
)
ELSEWHERE = (
    "| over-admission of exact algorithms, any load | ≤ 0 | ≤ 0 | proven, not timed: 10 M decisions by 8 processes in"
    " `tests/faults/test_over_admission.py` (`make faults`), every state against `tests/limits/test_oracle.py`"
    " | by test |",
    "| history among 100 M bucket rows, worst p95 ms | ≤ 100 | ≤ 20 | `python -m bench.history`, a run by itself:"
    " [history.md]({history}) | see there |",
)
