"""The `portal` command and how it fails: one line on stderr with what to do next, 2 for usage, 1 for failure."""

import sys
from collections.abc import Callable

import typer

from portal.cli.commands import account, audit, dlq, journal, plan, restore, token, usage, user
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
from portal.core.outages.database_errors import describe, is_dependency_unavailable

COMMANDS: dict[str, typer.Typer | Callable[..., None]] = {
    "run": run,
    "serve": serve,
    "worker": worker,
    "migrate": migrate,
    "doctor": doctor,
    "schema": schema,
    "token": token.app,
    "user": user.app,
    "account": account.app,
    "plan": plan.app,
    "rate": rate,
    "prorate": prorate,
    "usage": usage.app,
    "journal": journal.app,
    "restore": restore.app,
    "dlq": dlq.app,
    "audit": audit.app,
    "demo": demo.app,
}
"""Every command, in the order of `portal --help`; an app has commands of its own."""

app = typer.Typer(
    help="API keys, exact limits, usage and invoices, and the check that every gateway can ask for.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for name, command in COMMANDS.items():
    if isinstance(command, typer.Typer):
        app.add_typer(command, name=name)
    else:
        app.command(name)(command)


def main() -> None:
    """Run the command that was typed. Logs go to stderr: stdout is what a command answers."""
    configure_logs("WARNING")
    try:
        app()
    except PortalError as error:
        sys.stderr.write(f"portal: {error}\n")
        raise SystemExit(1) from None
    except Exception as error:
        if not is_dependency_unavailable(error):
            raise
        hint = "Is it migrated? `portal doctor` says what is wrong."
        sys.stderr.write(f"portal: PostgreSQL does not do this now: {describe(error)}. {hint}\n")
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None
