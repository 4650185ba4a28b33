"""What a run has found: every round of every contender, and the medians that are reported."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from statistics import median
from typing import Any

from bench.contender import Sample


@dataclass(frozen=True, slots=True)
class Measured:
    name: str
    unit: str
    about: str
    samples: Sequence[Sample]

    @property
    def median(self) -> float:
        return median(sample.value for sample in self.samples)

    @property
    def spread(self) -> tuple[float, float]:
        values = [sample.value for sample in self.samples]
        return min(values), max(values)

    def detail(self, name: str) -> float | None:
        """The median of a detail; None where no round has it."""
        values = [sample.details[name] for sample in self.samples if name in sample.details]
        return median(values) if values else None


@dataclass(frozen=True, slots=True)
class Results:
    started: datetime
    rounds: int
    seconds: float
    machine: dict[str, Any]
    measured: Sequence[Measured] = field(default_factory=list)

    def over_http(self) -> list[Measured]:
        """What was loaded over HTTP, ours and others."""
        return [entry for entry in self.measured if entry.detail("cpu_server_us") is not None]

    def find(self, name: str) -> Measured | None:
        return next((entry for entry in self.measured if entry.name == name), None)
