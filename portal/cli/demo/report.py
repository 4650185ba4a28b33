"""What `portal demo traffic` reports: sent, answered by code, refused, and how long it took."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

VALID = "VALID"


@dataclass(slots=True)
class Report:
    """`refused` counts by HTTP status, or "connection". Latencies in ms; with a rate, from the intended send time."""

    sent: int = 0
    answered: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    latencies_ms: list[float] = field(default_factory=list)
    duration_seconds: float = 0.0

    @property
    def allowed(self) -> int:
        return self.answered[VALID]

    @property
    def denied(self) -> dict[str, int]:
        return {code: number for code, number in self.answered.most_common() if code != VALID}

    @property
    def answers_per_second(self) -> float:
        return self.answered.total() / self.duration_seconds if self.duration_seconds else 0.0

    def percentile_ms(self, share: float) -> float | None:
        """None without an answer."""
        ordered = sorted(self.latencies_ms)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else None


def document_of(report: Report) -> dict[str, Any]:
    """Return the report as `--json` prints it."""
    return {
        "sent": report.sent,
        "answered": dict(report.answered.most_common()),
        "allowed": report.allowed,
        "denied": report.denied,
        "refused": dict(report.refused.most_common()),
        "duration_seconds": round(report.duration_seconds, 3),
        "checks_per_second": round(report.answers_per_second, 1),
        "p50_ms": _rounded(report.percentile_ms(0.5)),
        "p99_ms": _rounded(report.percentile_ms(0.99)),
    }


def _rounded(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else round(milliseconds, 3)


def text_of(report: Report) -> str:
    """Return the report as people read it."""
    p50, p99 = report.percentile_ms(0.5), report.percentile_ms(0.99)
    pace = f"in {report.duration_seconds:.1f} s, {report.answers_per_second:,.0f} answers/s"
    if p50 is not None and p99 is not None:
        pace += f", p50 {p50:.1f} ms, p99 {p99:.1f} ms"
    rows = [("sent", report.sent, pace), ("answered", report.answered.total(), "")]
    rows.append(("  allowed", report.allowed, "VALID"))
    rows += [("  denied", number, code) for code, number in report.denied.items()]
    rows.append(("refused", report.refused.total(), ""))
    rows += [("", number, reason) for reason, number in report.refused.most_common()]
    return "\n".join(f"{name:<10} {number:>10,}  {note}".rstrip() for name, number, note in rows)
