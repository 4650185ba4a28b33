"""Refuse what was typed, or the file that was named: one line on stderr, exit code 2."""

from collections.abc import Iterator
from contextlib import contextmanager

import typer

from portal.core.errors import Invalid


@contextmanager
def refusing_invalid() -> Iterator[None]:
    """Turn Invalid into a line with the path, what is wrong and what to do, and exit code 2."""
    try:
        yield
    except Invalid as error:
        text = ": ".join(part for part in (".".join(error.path), str(error)) if part)
        typer.echo(f"portal: {' '.join(text.split())}", err=True)
        raise typer.Exit(2) from None
