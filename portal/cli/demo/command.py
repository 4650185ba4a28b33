"""`portal demo traffic`: real checks with the demo keys, against a portal that runs."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer
import uvloop

from portal.cli.demo.state_file import load_state
from portal.cli.demo.traffic import GIVE_UP_SECONDS, Report, Traffic, send_traffic
from portal.cli.progress import progress
from portal.core.errors import PortalError

DEFAULT_URL = "http://127.0.0.1:8000"

app = typer.Typer(help="What a demo portal can be shown with.", no_args_is_help=True)


@app.callback()
def demo() -> None:
    """What a demo portal can be shown with."""


@dataclass(frozen=True, slots=True)
class Target:
    url: str
    token: str
    keys: dict[str, str]


@app.command("traffic")
def traffic(  # one parameter an option is how typer wants it
    count: Annotated[int, typer.Option(min=1, help="How many checks, exactly.")] = 1000,
    concurrency: Annotated[int, typer.Option(min=1, max=1024, help="How many connections.")] = 16,
    rate: Annotated[float | None, typer.Option(min=0.01, help="Checks a second; else as fast as it goes.")] = None,
    url: Annotated[str | None, typer.Option(help=f"Where the portal answers; else {DEFAULT_URL}.")] = None,
    ready_file: Annotated[Path | None, typer.Option(help="The running portal's ready file.")] = None,
    data: Annotated[Path, typer.Option(help="The running portal's data folder.")] = Path(".portal"),
    key: Annotated[list[str] | None, typer.Option(help="free, pro, enterprise or a whole key; repeatable.")] = None,
    log: Annotated[Path | None, typer.Option(help="Write request id, code, cost, key number of each answer.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Send checks to a running demo portal and report sent, answered by code, refused."""
    target = _from_ready_file(ready_file) if ready_file else _from_data(data)
    keys = tuple(target.keys.get(name, name) for name in key or target.keys)
    wanted = Traffic(url or target.url, target.token, keys, count, concurrency, rate)
    _check_url(wanted.url)
    with _opened(log) as lines, progress("Sending checks", count) as advance:
        report = uvloop.run(send_traffic(wanted, advance, lines))
    typer.echo(json.dumps(_document(report)) if as_json else _text(report))
    if report.sent < count:
        typer.echo(
            f"Nothing answered for {GIVE_UP_SECONDS:.0f} s: {count - report.sent:,} checks were not sent.", err=True
        )
    if report.refused:
        raise typer.Exit(1)


def _from_ready_file(path: Path) -> Target:
    try:
        facts = json.loads(path.read_text())
        return Target(facts["url"], facts["service_token"], facts["keys"])
    except FileNotFoundError:
        raise PortalError(f"There is no {path}.", hint="Is the portal running with --ready-file?") from None
    except (OSError, ValueError):
        raise PortalError(f"{path} is not readable as a ready file.", hint="Name another --ready-file.") from None
    except (KeyError, TypeError):
        raise PortalError(f"{path} names no demo keys.", hint="Start the portal with --demo.") from None


def _from_data(data: Path) -> Target:
    kept = load_state(data)
    if kept is None:
        raise PortalError(
            f"There are no demo credentials in {data}.", hint="Start `portal run --demo`, or name its --ready-file."
        )
    return Target(DEFAULT_URL, kept.service_token, kept.keys)


def _check_url(url: str) -> None:
    if not url.startswith("http://"):
        raise typer.BadParameter("it starts with http://", param_hint="--url")


@contextmanager
def _opened(log: Path | None) -> Iterator[TextIO | None]:
    """By lines: each answer is in the file before the next one is looked at."""
    if log is None:
        yield None
        return
    try:
        lines = log.open("w", buffering=1)
    except OSError as error:
        raise PortalError(f"{log} cannot be written: {error.strerror}.", hint="Name another --log.") from None
    with lines:
        yield lines


def _document(report: Report) -> dict[str, Any]:
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


def _text(report: Report) -> str:
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
