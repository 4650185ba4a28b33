"""`portal demo traffic`: real checks with the demo keys, against a portal that runs."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TextIO

import typer
import uvloop

from portal.cli.demo.report import document_of, text_of
from portal.cli.demo.state_file import load_state
from portal.cli.progress import progress
from portal.core.errors import PortalError

DEFAULT_URL = "http://127.0.0.1:8000"

app = typer.Typer(help="Send traffic to a demo portal.", no_args_is_help=True)


@app.callback()
def demo() -> None:
    """Send traffic to a demo portal."""


@dataclass(frozen=True, slots=True)
class Target:
    url: str
    token: str
    keys: dict[str, str]


@app.command("traffic")
def traffic(  # one parameter an option is how typer wants it
    count: Annotated[int, typer.Option(min=1, help="Number of checks to send.")] = 1000,
    concurrency: Annotated[int, typer.Option(min=1, max=1024, help="Number of connections.")] = 16,
    rate: Annotated[float | None, typer.Option(min=0.01, help="Checks a second; unlimited by default.")] = None,
    url: Annotated[str | None, typer.Option(help=f"Address of the portal; {DEFAULT_URL} by default.")] = None,
    ready_file: Annotated[Path | None, typer.Option(help="Ready file of the running portal.")] = None,
    data: Annotated[Path, typer.Option(help="Data folder of the running portal.")] = Path(".portal"),
    key: Annotated[list[str] | None, typer.Option(help="free, pro, enterprise or a whole key; repeatable.")] = None,
    log: Annotated[Path | None, typer.Option(help="File that gets id, code, cost and key of each answer.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Send checks to a running demo portal; report how many were sent, answered by code, and refused."""
    try:
        # The client comes with the extra; without it every other command must start.
        from portal.cli.demo.traffic import GIVE_UP_SECONDS, Traffic, send_traffic
    except ModuleNotFoundError as missing:
        hint = "Run pip install 'api-key-portal[embedded]'."
        raise PortalError(f"`portal demo traffic` needs the package {missing.name}.", hint=hint) from None
    target = _from_ready_file(ready_file) if ready_file else _from_data(data)
    keys = tuple(target.keys.get(name, name) for name in key or target.keys)
    wanted = Traffic(url or target.url, target.token, keys, count, concurrency, rate)
    _check_url(wanted.url)
    with _opened(log) as lines, progress("Sending checks", count) as advance:
        report = uvloop.run(send_traffic(wanted, advance, lines))
    typer.echo(json.dumps(document_of(report)) if as_json else text_of(report))
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
    state = load_state(data)
    if state is None:
        raise PortalError(
            f"There are no demo credentials in {data}.", hint="Start `portal run --demo`, or name its --ready-file."
        )
    return Target(DEFAULT_URL, state.service_token, state.keys)


def _check_url(url: str) -> None:
    if not url.startswith("http://"):
        raise typer.BadParameter("must start with http://", param_hint="--url")


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
