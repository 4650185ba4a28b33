"""A verb that changes what a key may do raises the account's policy version, or a stale policy would go on answering.

What a key may do is what compiling its policy reads. So this reads from the code which columns those are, who writes
them, and which public functions get there without a call of `bump_policy_version`.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest

PORTAL = Path(__file__).parents[2] / "portal"
DOMAINS = ("accounts", "billing", "check", "keys", "metering", "plans", "usage")
BUMP = "bump_policy_version"
READERS = (
    ("check/policy/compile.py", "", {"key": "Key", "secret": "KeySecret", "account": "Account"}),
    ("keys/rules.py", "own_limits", {"key": "Key"}),
    ("keys/rules.py", "overrides_of", {"key": "Key"}),
    ("plans/entitlement.py", "entitlement_from", {"plan": "PlanVersion"}),
    ("plans/store.py", "get_account_plan", {"choice": "PlanChoice"}),
)
"""The functions (or whole files) that make a policy out of rows, and which variable is a row of which table."""
WHOLE_ROWS = {"Key": "keys", "KeySecret": "key_secrets", "PlanChoice": "plan_choices"}
"""A new or deleted row of these changes what a key may do. A new account or version of a plan has no keys yet."""
Place = tuple[str, str]


def columns_read() -> dict[str, set[str]]:
    """By model: the columns that a policy is made of."""
    found: dict[str, set[str]] = {}
    for path, name, rows in READERS:
        functions = [node for node in functions_of((PORTAL / path).read_text()) if name in ("", node.name)]
        assert functions, f"{path} has no {name} any more"
        for node in [inner for function in functions for inner in ast.walk(function)]:
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in rows:
                found.setdefault(rows[node.value.id], set()).add(node.attr)
    found["Account"] -= {"policy_version"}
    return found


def functions_of(source: str) -> Iterator[ast.AsyncFunctionDef | ast.FunctionDef]:
    for node in ast.parse(source).body:
        if isinstance(node, ast.AsyncFunctionDef | ast.FunctionDef):
            yield node


COLUMNS = columns_read()


def read_sources() -> dict[str, str]:
    paths = [path for domain in DOMAINS for path in sorted((PORTAL / domain).rglob("*.py"))]
    return {str(path.relative_to(PORTAL)): path.read_text() for path in paths}


def writes(function: ast.AST, models: set[str]) -> bool:
    """Whether the function itself writes what a policy reads, in a file that names these models."""
    columns = set().union(*[COLUMNS.get(model, set()) for model in models])
    for node in ast.walk(function):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and node.attr in columns:
            return True
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            given = {argument.id for argument in node.args if isinstance(argument, ast.Name)}
            if node.func.id in WHOLE_ROWS or (node.func.id in ("insert", "update", "delete") and given & {*WHOLE_ROWS}):
                return True
        if isinstance(node, ast.keyword) and isinstance(node.arg, str) and node.arg in columns:
            parent = ast.unparse(function)
            if any(f"update({model})" in parent for model in ("Account", "PlanVersion")):
                return True
    return False


def calls(function: ast.AST) -> set[str]:
    named = [node.func for node in ast.walk(function) if isinstance(node, ast.Call)]
    return {
        node.id if isinstance(node, ast.Name) else node.attr
        for node in named
        if isinstance(node, ast.Name | ast.Attribute)
    }


@dataclass(frozen=True, slots=True)
class Summary:
    """What matters of a function."""

    is_writer: bool
    calls: frozenset[str]


@cache
def summarize(source: str) -> dict[str, Summary]:
    """By the name of each function of a file."""
    tree = ast.parse(source)
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names}
    return {
        node.name: Summary(writes(node, names & {*COLUMNS}), frozenset(calls(node))) for node in functions_of(source)
    }


def reaching(functions: dict[Place, Summary], starts: set[Place]) -> set[Place]:
    """These, and every function that calls one of them, at whatever distance."""
    found = set(starts)
    while True:
        public = {name for _, name in found if not name.startswith("_")}
        more = {
            (path, name)
            for (path, name), function in functions.items()
            if function.calls & public or any((path, called) in found for called in function.calls)
        }
        if more <= found:
            return found
        found |= more


def verbs_without_a_bump(sources: dict[str, str]) -> set[str]:
    functions = {(path, name): known for path, text in sources.items() for name, known in summarize(text).items()}
    changing = reaching(functions, {place for place, function in functions.items() if function.is_writer})
    bumping = reaching(functions, {place for place in functions if place[1] == BUMP})
    return {name for path, name in changing - bumping if is_public(path, name)}


def is_public(path: str, name: str) -> bool:
    """Whether the package's face exports it, or would: a new verb in a file of its own."""
    domain = path.partition("/")[0]
    return name in import_module(f"portal.{domain}").__all__ or Path(path).stem in name


def test_the_columns_are_those_that_a_policy_is_made_of() -> None:
    assert {"paused_at", "revoked_at", "expires_at", "scopes", "allowed_ips", "limits", "overrides"} <= COLUMNS["Key"]
    assert "ends_at" in COLUMNS["KeySecret"]
    assert "suspended_at" in COLUMNS["Account"]
    assert {"limits", "monthly_quota", "is_overage_allowed", "failure_policy"} <= COLUMNS["PlanVersion"]


def test_every_verb_that_changes_what_a_key_may_do_raises_the_policy_version() -> None:
    assert verbs_without_a_bump(read_sources()) == set()


@pytest.mark.parametrize(
    ("path", "imports", "body"),
    [
        ("keys/mute.py", "from portal.keys.models import Key", "key.paused_at = tx.now"),
        ("keys/mute.py", "from portal.keys.models import Key", "await tx.insert(Key())"),
        ("keys/mute.py", "from portal.keys.secrets import add_secret", "await add_secret(tx, key, '')"),
        ("accounts/mute.py", "from portal.accounts.models import Account", "account.suspended_at = tx.now"),
        ("plans/mute.py", "from portal.plans.models import PlanVersion", "plan.limits = []"),
        ("plans/mute.py", "from portal.plans.models import PlanChoice", "await tx.insert(PlanChoice())"),
    ],
)
def test_a_verb_that_forgets_it_is_found(path: str, imports: str, body: str) -> None:
    verb = f"{imports}\nasync def mute(tx, key, account, plan):\n    {body}\n"
    assert verbs_without_a_bump(read_sources() | {path: verb}) == {"mute"}
    remembered = f"{verb}    await {BUMP}(tx, '')\n"
    assert verbs_without_a_bump(read_sources() | {path: remembered}) == set()
