"""Names only: of metrics with their labels, and of log lines with their keys. Values are another matter."""

import json
import re
import time
from collections.abc import Iterable
from pathlib import Path

from tests.recordings.product import START_SECONDS, Product, free_port, running_beside
from tests.recordings.wire import ask, request

SAMPLE = re.compile(r"^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? ")
LABEL = re.compile(r'(\w+)="(?:[^"\\]|\\.)*"')
OF_PATHS = (
    "/check",
    "/livez",
    "/readyz/check",
    "/readyz/portal",
    "/metrics",
    "/sign-in",
    "/graphql",
    "/usage/events",
    "/static/app.css",
)


def metric_names(text: str) -> str:
    """Families with kind and help, and samples with their label names."""
    names = {line for line in text.splitlines() if line.startswith("# ")}
    for line in text.splitlines():
        if found := SAMPLE.match(line):
            names.add(f"{found[1]}{{{', '.join(sorted(LABEL.findall(found[2] or '')))}}}")
    return "\n".join(sorted(names)) + "\n"


def log_names(texts: Iterable[str]) -> str:
    """Event, level and keys of every line of JSON."""
    names = set()
    for text in texts:
        for line in text.splitlines():
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            if isinstance(entry, dict) and "event" in entry:
                names.add(f"{entry['event']} ({entry.get('level')}): {', '.join(sorted(entry))}")
    return "\n".join(sorted(names)) + "\n"


def process_texts(product: Product) -> list[tuple[str, str]]:
    """`serve` of both kinds and `worker` beside the running portal: which addresses answer, metrics, log lines."""
    records: list[tuple[str, str]] = []
    for only in ("check", "portal"):
        port = free_port()
        with running_beside(product, ["serve", "--port", str(port), "--only", only], f"serve-{only}") as log:
            _await(port, "/livez", log)
            statuses = [f"{path} {ask(port, request('GET', path, {})).status}" for path in OF_PATHS]
            records.append((f"serve --only {only} addresses", "\n".join(statuses) + "\n"))
            records.append(
                (f"serve --only {only} metrics", metric_names(ask(port, request("GET", "/metrics", {})).text))
            )
        records.append((f"serve --only {only} log", log_names([log.read_text()])))
    port = free_port()
    with running_beside(product, ["worker"], "worker", PORTAL_WORKER_PORT=str(port)) as log:
        _await(port, "/readyz", log)
        time.sleep(3.0)
        for path in ("/livez", "/readyz", "/readyz?verbose", "/nothing"):
            answer = ask(port, request("GET", path, {}))
            records.append((f"worker {path}", f"{answer.status}\n{answer.text}\n"))
        records.append(("worker metrics", metric_names(ask(port, request("GET", "/metrics", {})).text)))
    records.append(("worker log", log_names([log.read_text()])))
    return records


def _await(port: int, path: str, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        try:
            if ask(port, request("GET", path, {})).status == 200:
                return
        except OSError:
            pass
        time.sleep(0.2)
    raise RuntimeError(f"a process beside the portal did not become ready:\n{log.read_text()[-2000:]}")
