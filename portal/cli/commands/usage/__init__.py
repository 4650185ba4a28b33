"""`portal usage`: what was counted.

audit.py    compare the ledgers of usage, from the raw event to the invoice line
export.py   write an account's raw events or buckets into a file
"""

import typer

from portal.cli.commands.usage.audit import audit
from portal.cli.commands.usage.export import export

app = typer.Typer(help="Audit and export what was counted.", no_args_is_help=True)
app.command("audit")(audit)
app.command("export")(export)

__all__ = ["app"]
