"""Write the pages of docs/reference from the code: `python docs/generate.py`. A test compares them with the committed.

Settings come from their fields, commands from Typer, errors from their types, metrics and log events from calls that
make them. So a page can be wrong only where the code is.
"""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer.main
from pydantic_core import PydanticUndefined

from portal.check import Code
from portal.cli.main import app
from portal.core.errors import PortalError
from portal.core.settings import Settings

ROOT = Path(__file__).resolve().parent.parent
METRICS = {"Counter": "counter", "Gauge": "gauge", "Histogram": "histogram"}
METRICS |= {f"{name}MetricFamily": kind for name, kind in METRICS.items()}
INTERNAL_STATUS = 500
GRAPHQL_CODES = {
    "BAD_DOCUMENT": "The document does not parse or does not fit the schema",
    "BAD_OPERATION": "`operationName` names none of the document's operations, or is needed",
    "BAD_REQUEST": "The HTTP request is not as GraphQL over HTTP has it",
    "BAD_VARIABLES": "A variable is missing or of another type",
    "INTERNAL": "Something failed that was not expected; the request id leads to the log",
    "MUTATION_BY_GET": "Mutations are sent by POST",
    "RATE_LIMITED": "The caller's allowance is used up; `Retry-After` says until when",
    "SUBSCRIPTION": "A subscription needs a WebSocket or server-sent events",
    "TIMEOUT": "The operation took too long",
    "TOO_COSTLY": "The operation costs more than one may",
    "TOO_LARGE": "The document, its variables or the body are larger or deeper than is allowed",
    "TOO_MANY_SUBSCRIPTIONS": "Too many operations run on this connection",
}
LEVELS = ("debug", "info", "warning", "error", "exception")


def settings_page() -> str:
    """Return the page of every `PORTAL_*` variable with its default, bounds and meaning."""
    rows = ["| variable | default | meaning |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        default = field.default
        if default is PydanticUndefined:
            text = "required"
        elif default is None:
            text = "none"
        else:
            text = f"`{str(default).lower() if isinstance(default, bool) else default}`"
        rows.append(f"| `PORTAL_{name.upper()}` | {text} | {_cell(field.description or '')}{_bounds(field.metadata)} |")
    lead = (
        "Settings are environment variables; `portal run` sets the required ones itself."
        " Wrong ones are reported at startup, all at once."
    )
    return "\n".join(["# Settings", lead, "", *rows, ""])


def commands_page() -> str:
    """Return the page of every command with its arguments and options."""
    lines = [
        "# Commands",
        "Errors are one line on stderr that says what to do next: exit code 2 for wrong usage, 1 for failure.",
        "",
    ]
    for name, command in _commands(typer.main.get_command(app), "portal"):
        usage = " ".join([name, *(part.strip() for part in command.collect_usage_pieces(_context(command, name)))])
        lines += [f"## {name}", _sentences(command.help or ""), "", f"    {usage}", ""]
        for parameter in command.params:
            if parameter.name != "help":
                lines.append(f"- {_parameter(parameter)}")
        if lines[-1]:
            lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def errors_page() -> str:
    """Return the page of the codes that checks, GraphQL problems and REST documents carry."""
    lines = [
        "# Error codes",
        "## Of a check",
        "In the order in which they are decided; [the check](../check.md) says what each means.",
        "",
    ]
    lines += [", ".join(f"`{code.value}`" for code in Code), ""]
    lines += ["## Of GraphQL problems and errors", "", "| code | status | meaning |", "|---|---|---|"]
    found = {error.code: error for error in _subclasses(PortalError) if error.http_status != INTERNAL_STATUS}
    rows = {code: f"| `{code}` | {error.http_status} | {_cell(error.__doc__ or '')} |" for code, error in found.items()}
    rows |= {code: f"| `{code}` | | {_cell(text)} |" for code, text in GRAPHQL_CODES.items() if code not in rows}
    lines += [rows[code] for code in sorted(rows)]
    lines += [
        "",
        "Problem documents of `/check` and `/usage/events` say what happened in `detail`; one of `/check` has the code",
        "`id-reused` (409, [retries](../check.md#retries)). Events of the latter have codes of their own, in",
        "[usage](../usage.md#external-metering).",
    ]
    return "\n".join([*lines, ""])


def metrics_page() -> str:
    """Return the page of every metric that a process shows under /metrics."""
    rows = {}
    for _, call in _calls():
        kind = METRICS.get(call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", ""))
        texts = [argument.value for argument in call.args if isinstance(argument, ast.Constant)]
        if kind and len(texts) >= 2 and isinstance(texts[0], str) and texts[0].startswith("portal_"):
            name = texts[0] + ("_total" if kind == "counter" and not texts[0].endswith("_total") else "")
            rows[name] = f"| `{name}` | {kind} | {_cell(str(texts[1]))} |"
    lead = "Labels are route templates, codes, shards and queues, never keys or accounts."
    table = ["| metric | kind | meaning |", "|---|---|---|", *(rows[name] for name in sorted(rows))]
    return "\n".join(["# Metrics", lead, "", *table, ""])


def log_events_page() -> str:
    """Return the page of every event that a process logs, with its level and fields."""
    rows = {}
    for path, call in _calls():
        if not isinstance(call.func, ast.Attribute) or call.func.attr not in LEVELS or not call.args:
            continue
        name = _event_name(call.args[0])
        if name is None:
            continue
        fields = ", ".join(f"`{word.arg}`" for word in call.keywords if word.arg and word.arg != "exc_info")
        level = "error" if call.func.attr == "exception" else call.func.attr
        rows[name] = f"| `{name}` | {level} | {fields} | `{path.relative_to(ROOT)}` |"
    lead = (
        "One JSON object a line on stderr when it is piped, coloured text on a terminal; `event` is the name."
        " No line holds a secret."
    )
    table = ["| event | level | fields | logged by |", "|---|---|---|---|", *(rows[name] for name in sorted(rows))]
    return "\n".join(["# Log events", lead, "", *table, ""])


PAGES = {
    "settings.md": settings_page,
    "commands.md": commands_page,
    "errors.md": errors_page,
    "metrics.md": metrics_page,
    "log-events.md": log_events_page,
}


def _commands(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    inner = getattr(command, "commands", None)
    if inner is None:
        yield name, command
        return
    for word in sorted(inner):
        yield from _commands(inner[word], f"{name} {word}")


def _context(command: Any, name: str) -> Any:
    return command.make_context(name, [], resilient_parsing=True)


def _parameter(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        words = f"`{(parameter.metavar or parameter.name).upper()}`"
    else:
        words = ", ".join(f"`{word}`" for word in [*parameter.opts, *parameter.secondary_opts])
    default = parameter.default
    is_shown = default not in (None, False, True, "", (), []) and not callable(default) and not parameter.required
    shown = f" Default: `{default}`." if is_shown else ""
    required = " Required." if parameter.required and parameter.param_type_name != "argument" else ""
    return f"{words}: {_sentences(getattr(parameter, 'help', None) or 'see above.')}{required}{shown}"


def _sentences(text: str) -> str:
    return re.sub(r"\s+", " ", text.replace("\b", "").replace("\f", "")).strip()


def _cell(text: str) -> str:
    text = _sentences(text).replace("|", "\\|")
    return text + ("" if not text or text.endswith(".") else ".")


def _bounds(metadata: list[Any]) -> str:
    low = next((item.ge for item in metadata if hasattr(item, "ge")), None)
    high = next((item.le for item in metadata if hasattr(item, "le")), None)
    if low is None and high is None:
        return ""
    if high is None:
        return f" At least {low:,}."
    return f" {low:,} to {high:,}."


def _subclasses(kind: type[PortalError]) -> Iterator[type[PortalError]]:
    for child in kind.__subclasses__():
        yield child
        yield from _subclasses(child)


def _calls() -> Iterator[tuple[Path, ast.Call]]:
    for folder in ("portal", "web", "workers"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call):
                    yield path, node


def _event_name(argument: ast.expr) -> str | None:
    if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
        return argument.value if re.fullmatch(r"[a-z][a-z0-9_]+", argument.value) else None
    if isinstance(argument, ast.JoinedStr):
        parts = [part.value if isinstance(part, ast.Constant) else "…" for part in argument.values]
        text = "".join(str(part) for part in parts)
        return text if re.fullmatch(r"[a-z0-9_…]+", text) and "_" in text else None
    return None


def main() -> None:
    """Write every page that differs, and say which."""
    for name, build in PAGES.items():
        path = ROOT / "docs" / "reference" / name
        text = build()
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
            sys.stdout.write(f"wrote docs/reference/{name}\n")


if __name__ == "__main__":
    main()
