"""`portal usage`: what was counted."""

import typer

from portal.cli.usage_audit import audit

app = typer.Typer(help="Usage: what was counted.", no_args_is_help=True)
app.command("audit")(audit)


@app.callback()
def usage() -> None:
    """Usage: what was counted."""
