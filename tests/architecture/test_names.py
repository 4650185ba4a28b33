"""One name in six places, and the page on roles says what the code says."""

import ast
import importlib
import re
from pathlib import Path

import pytest
from graphql import build_schema

from portal.graphql import sdl
from portal.graphql.roles_page import page

ROOT = Path(__file__).parent.parent.parent
DOMAINS = ("accounts", "keys", "plans")
SCHEMA = build_schema(sdl())
MUTATIONS = sorted(SCHEMA.mutation_type.fields) if SCHEMA.mutation_type else []


def snake(name: str) -> str:
    return re.sub(r"[A-Z]", lambda letter: f"_{letter[0].lower()}", name)


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_a_mutation_a_verb_a_file_and_an_audit_action_share_a_name(mutation: str) -> None:
    """createKey = create_key in keys/create.py (or create_key.py) = key.create."""
    verb = snake(mutation)
    (domain,) = [name for name in DOMAINS if hasattr(importlib.import_module(f"portal.{name}"), verb)]
    names = {verb, verb.rpartition("_")[0], verb.replace("_key", "")}
    (file,) = [path for name in names for path in (ROOT / "portal" / domain).rglob(f"{name}.py")]
    source = file.read_text()
    assert verb in [node.name for node in ast.parse(source).body if isinstance(node, ast.AsyncFunctionDef)]
    actions = re.findall(r'audit\.record\(\s*\w+, \w+, "([a-z_.]+)"', source)
    assert actions
    for action in actions:
        words = sorted(action.replace(".", "_").split("_"))
        assert words == sorted(verb.removesuffix("s").split("_")) or action.endswith(f".{verb}"), action


def test_the_page_on_roles_is_the_codes() -> None:
    assert (ROOT / "docs" / "guides" / "roles.md").read_text() == page(), (
        "run `python -m portal.graphql.roles_page > docs/guides/roles.md`, and read which rights changed"
    )
