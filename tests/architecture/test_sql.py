"""SQL stands in the `store.py` files of its package and in its models, nowhere else."""

import ast
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
STATEMENTS = {"text", "select", "insert", "update", "delete"}
"""What SQLAlchemy builds statements with."""
ELSEWHERE = {
    "portal/core/columns.py": "column defaults",
    "portal/core/database.py": "roles and limits of a transaction",
    "portal/core/messaging/outbox.py": "the outbox is one table and three statements",
    "portal/cli/demo/seed.py": "the demo's reading role",
    "portal/graphql/engine/idempotency.py": "not moved yet",
    "portal/runtime/worker_health.py": "whether PostgreSQL answers",
}
"""Files outside a store that may hold SQL. This list may only shrink."""
SOURCES = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "portal").rglob("*.py"))


def builds_statements(path: str) -> bool:
    """Whether a file imports one of STATEMENTS from SQLAlchemy or SQLModel and calls it."""
    tree = ast.parse((ROOT / path).read_text())
    imported = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in ("sqlalchemy", "sqlmodel")
        for alias in node.names
        if alias.name in STATEMENTS
    }
    called = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    return bool(imported & called)


def test_sql_stands_in_stores_and_models_only() -> None:
    holding = {path for path in SOURCES if builds_statements(path)}
    outside = {path for path in holding if Path(path).name not in ("store.py", "models.py")}
    assert outside - ELSEWHERE.keys() == set(), "move these statements into the store.py of their package"


def test_the_list_of_exceptions_shrinks() -> None:
    assert {path for path in ELSEWHERE if not builds_statements(path)} == set(), "take these off the list"


def test_stores_of_a_package_are_called_store() -> None:
    """One knows where SQL is without looking."""
    assert [path for path in SOURCES if Path(path).stem.endswith("_store")] == []
