"""`portal usage`: what was counted."""

import typer

from portal.cli.commands.usage_audit import audit
from portal.cli.commands.usage_export import export

app = typer.Typer(help="Usage: what was counted.", no_args_is_help=True)
app.command("audit")(audit)
app.command("export")(export)


@app.callback()
def usage() -> None:
    """Usage: what was counted."""
