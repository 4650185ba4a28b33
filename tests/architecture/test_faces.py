"""Nobody reaches past a package's face: from outside, its names come from the package itself."""

import ast
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("accounts", "audit", "graphql", "keys", "plans")
EXCUSED = {"migrations/tables.py"}
"""Migrations compare the tables of all domains, which their models declare."""


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
        elif isinstance(node, ast.Import):
            yield from [alias.name for alias in node.names]


@pytest.mark.parametrize("package", PACKAGES)
def test_from_outside_only_the_face_is_imported(package: str) -> None:
    bypassing = [
        f"{path.relative_to(ROOT)}: {module}"
        for folder in ("portal", "web", "workers", "migrations", "bench")
        for path in (ROOT / folder).rglob("*.py")
        if not path.is_relative_to(ROOT / "portal" / package) and str(path.relative_to(ROOT)) not in EXCUSED
        for module in imports(path)
        if module.startswith(f"portal.{package}.")
    ]
    assert bypassing == []


@pytest.mark.parametrize("package", PACKAGES)
def test_a_face_is_described_and_exports_what_it_has(package: str) -> None:
    face = import_module(f"portal.{package}")
    assert face.__doc__
    assert all(hasattr(face, name) for name in face.__all__)
    folders = [path.name for path in (ROOT / "portal" / package).iterdir() if (path / "__init__.py").exists()]
    assert all(f"{name}/" in face.__doc__ for name in folders)
