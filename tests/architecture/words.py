"""`python -m tests.architecture.words`: names in code that are no words of the field; part of `make check`.

A pronoun, participle or mood as a name makes a reader open the code to learn what it holds. Bounds say MAX_ or MIN_ in
front, so that they sort and read alike. docs/concepts.md and CONTRIBUTING.md have the words to use.
"""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDERS = ("portal", "web", "workers", "migrations", "bench")
REFUSED = frozenset(
    {*("told", "spent", "kept", "past", "own", "asked", "heard", "which", "those", "one", "others", "ours", "mine")}
    | {"Told", "Spent", "Kept", "Past", "Own", "Asked", "Heard", "Which", "Those", "Others"}
)
REFUSED_MODULES = frozenset({"utils", "helpers", "common", "misc", "manager", "base"}) | REFUSED
BOUND = re.compile(r"_?([A-Z0-9_]+_(MOST|LEAST)|(MOST|LEAST)_[A-Z0-9_]+)")


def problems() -> Iterator[str]:
    """Yield `file:line: name` of each name that should be another."""
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            place = path.relative_to(ROOT)
            if path.stem in REFUSED_MODULES:
                yield f"{place}: a module's name says what is in it"
            for node in ast.walk(ast.parse(path.read_text())):
                for name in _names(node):
                    if name.strip("_") in REFUSED or BOUND.fullmatch(name):
                        yield f"{place}:{getattr(node, 'lineno', 0)}: {name}"


def _names(node: ast.AST) -> list[str]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [node.name]
    if isinstance(node, ast.arg):
        return [node.arg]
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        return [node.id]
    if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
        return [node.attr]
    return []


if __name__ == "__main__":
    found = [*problems()]
    sys.stdout.writelines(f"{problem}\n" for problem in found)
    sys.exit(1 if found else 0)
