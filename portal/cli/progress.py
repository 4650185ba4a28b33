"""Progress of long work, on stderr: a bar on a terminal, plain lines elsewhere, nothing within the first second."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

QUIET_SECONDS = 1.0
LINE_SECONDS = 2.0
Advance = Callable[[int], None]


@contextmanager
def progress(title: str, total: int) -> Iterator[Advance]:
    """Yield `advance(steps)`, which is cheap enough to be called for every step."""
    if not sys.stderr.isatty():
        yield _lines(title, total)
        return
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    try:
        yield _bar(bar, title, total)
    finally:
        bar.stop()


def _bar(bar: Progress, title: str, total: int) -> Advance:
    shown_at = monotonic() + QUIET_SECONDS
    task: TaskID | None = None
    done = 0

    def advance(steps: int) -> None:
        nonlocal task, done
        done += steps
        if task is not None:
            bar.update(task, completed=done)
        elif monotonic() >= shown_at:
            bar.start()
            task = bar.add_task(title, total=total, completed=done)

    return advance


def _lines(title: str, total: int) -> Advance:
    next_at = monotonic() + QUIET_SECONDS
    done = 0

    def advance(steps: int) -> None:
        nonlocal next_at, done
        done += steps
        if monotonic() >= next_at:
            next_at = monotonic() + LINE_SECONDS
            typer.echo(f"{title}: {done:,} of {total:,}", err=True)

    return advance
