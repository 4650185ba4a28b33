"""The `portal` command and how it fails: one line on stderr with what to do next, 2 for usage, 1 for failure."""

import sys

import typer

from portal.cli.commands import audit, dlq, journal, plan, token, usage, user
from portal.cli.commands.migrate import migrate
from portal.cli.commands.prorate import prorate
from portal.cli.commands.rate import rate
from portal.cli.commands.run import run
from portal.cli.commands.schema import schema
from portal.cli.commands.serve import serve
from portal.cli.commands.worker import worker
from portal.cli.demo import command as demo
from portal.cli.doctor.command import doctor
from portal.core.errors import PortalError
from portal.core.logs import configure_logs

app = typer.Typer(
    help="API keys, exact limits, usage and the check every gateway can ask.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("run")(run)
app.command("serve")(serve)
app.command("worker")(worker)
app.command("migrate")(migrate)
app.command("doctor")(doctor)
app.command("schema")(schema)
app.command("rate")(rate)
app.command("prorate")(prorate)
app.add_typer(token.app, name="token")
app.add_typer(user.app, name="user")
app.add_typer(plan.app, name="plan")
app.add_typer(audit.app, name="audit")
app.add_typer(usage.app, name="usage")
app.add_typer(journal.app, name="journal")
app.add_typer(demo.app, name="demo")
app.add_typer(dlq.app, name="dlq")


def main() -> None:
    """Entry point of the `portal` script. Logs go to stderr: stdout is what a command answers."""
    configure_logs("WARNING")
    try:
        app()
    except PortalError as error:
        sys.stderr.write(f"portal: {error}\n")
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None
