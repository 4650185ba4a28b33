"""Nobody reaches past a face: from outside a package or sub-package, its names come from the package itself."""

import ast
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("accounts", "audit", "graphql", "keys", "plans")
EXCUSED = {"migrations/tables.py"}
"""Migrations compare the tables of all domains, which their models declare."""

SUB_PACKAGES = sorted(
    face.parent.relative_to(ROOT).as_posix()
    for top in ("portal", "web")
    for face in (ROOT / top).glob("*/*/__init__.py")
    if "__all__" in face.read_text() and not face.is_relative_to(ROOT / "portal" / "core")
)
"""Those with a face. portal.core is a library, whose modules are imported; graphql.engine and graphql.types need one
another's modules, as their docstrings say."""
EXCUSED_INSIDE = {"portal/billing/collect_inputs.py"}
"""It chooses between two models of invoices, of which one goes."""


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


@cache
def names_imported() -> list[tuple[Path, str, str]]:
    """Return every (file, module, name) of a from-import."""
    return [
        (path, node.module, alias.name)
        for top in ("portal", "web", "workers", "bench", "tests")
        for path in (ROOT / top).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
    ]


@pytest.mark.parametrize("package", SUB_PACKAGES)
def test_siblings_import_only_the_face(package: str) -> None:
    folder, face = ROOT / package, package.replace("/", ".")
    exported = import_module(face).__all__
    modules = {path.stem for path in folder.glob("*.py")} - {*exported}
    bypassing = [
        f"{path.relative_to(ROOT)}: {module}.{name}"
        for path, module, name in names_imported()
        if path.relative_to(ROOT).parts[0] in ("portal", "web", "workers")
        and not path.is_relative_to(folder)
        and path.relative_to(ROOT).as_posix() not in EXCUSED_INSIDE
        and (module.startswith(f"{face}.") or (module == face and name in modules))
    ]
    assert bypassing == []
