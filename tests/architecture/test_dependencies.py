"""What the product imports is declared: nothing stands on a package that only another package brings along."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
OURS = ("portal", "web", "workers", "migrations")
ONLY_FOR_THE_DEMO = ROOT / "portal" / "cli" / "demo"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def declared(requirements: list[str]) -> set[str]:
    return {normal(re.split(r"[\[<>=~! ]", requirement)[0]) for requirement in requirements}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def imported(path: Path) -> Iterator[str]:
    """Top-level names of the modules that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


def test_every_import_is_declared() -> None:
    always, embedded = declared(PROJECT["dependencies"]), declared(PROJECT["optional-dependencies"]["embedded"])
    distributions = packages_distributions()
    undeclared = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in sorted(path for folder in OURS for path in (ROOT / folder).rglob("*.py"))
        for name in {*imported(path)} - {*OURS} - sys.stdlib_module_names
        if not {normal(distribution) for distribution in distributions[name]}
        & (always | embedded if path.is_relative_to(ONLY_FOR_THE_DEMO) else always)
    ]
    assert undeclared == []
