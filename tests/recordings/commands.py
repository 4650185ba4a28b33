"""The `portal` command: help of everything, and what each command answers, with its exit code."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

from tests.recordings.product import Product, run_command

COMMAND_ROW = re.compile(r"^[│|] ([a-z][a-z-]+)(?: {2,}|\s*[│|]$)")
TARIFF = {"currency": "EUR", "charges": [{"model": "per_unit", "unit": "0.0012"}]}
GRADUATED = {
    "currency": "USD",
    "charges": [{"model": "graduated", "tiers": [{"upTo": "1000", "unit": "0.01"}, {"unit": "0.005", "flat": "2"}]}],
    "minimum": "5.00",
}
FILES = {
    "tariff.json": json.dumps(TARIFF), "graduated.json": json.dumps(GRADUATED), "broken.json": "{",
    "wrong.json": json.dumps({"charges": 1}),
    "empty.json": "{}", "unknown.json": json.dumps({**TARIFF, "more": 1}), "currency.json": json.dumps({**TARIFF,
    "currency": "XXQ"}),
}  # fmt: skip
ALONE, ON_DATA = (
    part.split("\n") for part in Path(__file__).with_name("commands.txt").read_text().strip().split("\n\n")
)
COUNTING = ("usage audit", "audit verify", "doctor", "journal ship")


def help_texts(portal: Path, folder: Path, path: tuple[str, ...] = ()) -> Iterator[tuple[str, str]]:
    """`--help` of every command, found in the help of what is above it."""
    code, output, errors = run_command(portal, [*path, "--help"], folder)
    yield f"portal {' '.join([*path, '--help'])}", f"exit {code}\n{output}{errors}"
    if re.search(r"(?m)^Usage:.*COMMAND|Usage: .* COMMAND", output):
        _, _, listed = output.partition(" Commands ")
        for line in listed.splitlines():
            if found := COMMAND_ROW.match(line):
                yield from help_texts(portal, folder, (*path, found[1]))


def make_files(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    for name, content in FILES.items():
        (folder / name).write_text(content)


def texts_without_portal(portal: Path, folder: Path) -> Iterator[tuple[str, str]]:
    for line in ALONE:
        arguments = [] if line == "(nothing)" else line.split()
        yield f"portal {line}", _output(portal, arguments, folder, {})


def texts_with_portal(product: Product, folder: Path) -> Iterator[tuple[str, str, bool]]:
    """Name, exit code with both outputs, and whether its numbers are counts of demo usage."""
    account = product.ready["logins"]["developer"]["account_id"]
    addresses = {**product.service_addresses, "PORTAL_DATA": str(folder / "journal")}
    for line in ON_DATA:
        arguments = [*line.format(account=account).split(), "--data", str(product.data)]
        yield f"portal {line} --data", _output(product.portal, arguments, folder, {}), line.startswith(COUNTING)
    for line in ("doctor", "migrate", "dlq list"):
        yield f"portal {line} by environment", _output(product.portal, line.split(), folder, addresses), True
    wrong = {
        **addresses,
        "PORTAL_DATABASE_URL": "postgresql+asyncpg://a:b@127.0.0.1:1/c",
        "PORTAL_REDIS_URLS": "redis://127.0.0.1:1/0",
    }
    for line in ("doctor", "migrate"):
        yield f"portal {line} without services", _output(product.portal, line.split(), folder, wrong), False
    for name, value in {
        "PORTAL_CHECK_DEADLINE_MS": "x",
        "PORTAL_KEY_PREFIX": "9",
        "PORTAL_REDIS_URLS": "",
        "PORTAL_LOG_LEVEL": "LOUD",
    }.items():
        yield (
            f"portal doctor with {name}={value}",
            _output(product.portal, ["doctor"], folder, {**addresses, name: value}),
            False,
        )
    traffic = ["demo", "traffic", "--count", "40", "--concurrency", "2", "--rate", "50", "--url", product.ready["url"]]
    traffic += ["--ready-file", str(product.folder / "ready.json"), "--data", str(product.data), "--key", "enterprise"]
    for more in ([], ["--json"]):
        yield f"portal demo traffic {' '.join(more)}", _output(product.portal, [*traffic, *more], folder, {}), True


def _output(portal: Path, arguments: list[str], folder: Path, settings: dict[str, str]) -> str:
    code, output, errors = run_command(portal, arguments, folder, settings)
    return f"exit {code}\n--- stdout\n{output}\n--- stderr\n{errors}"
