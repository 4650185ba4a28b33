"""What clients rely on stays: a change that breaks them is in the changelog, named, before it is in the schema."""

import re
from pathlib import Path

from graphql import GraphQLSchema, build_schema
from graphql.utilities import find_breaking_changes

from portal.graphql import sdl

ROOT = Path(__file__).parents[2]
RELEASED = ROOT / "docs" / "schema" / "released.graphql"


def unlisted(old: GraphQLSchema, new: GraphQLSchema, unreleased: str) -> list[str]:
    """Breaking changes whose place (`Type.field`) no line marked **Breaking** names."""
    named = {
        name for line in unreleased.splitlines() if "**Breaking**" in line for name in re.findall(r"`([\w.]+)`", line)
    }
    return [
        change.description
        for change in find_breaking_changes(old, new)
        if not named & {*re.findall(r"[\w.]*\w", change.description)}
    ]


def unreleased_part() -> str:
    found = re.search(
        r"^## Unreleased\n(.*?)(?=^## |\Z)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE | re.DOTALL
    )
    assert found
    return found[1]


def test_nothing_breaks_unannounced() -> None:
    released, current = build_schema(RELEASED.read_text()), build_schema(sdl())
    assert unlisted(released, current, unreleased_part()) == [], "see the policy in docs/guides/graphql.md"


def test_a_breaking_change_is_found_and_its_line_accepted() -> None:
    old = build_schema("type Query { key: Key } type Key { id: ID masked: String }")
    new = build_schema("type Query { key: Key } type Key { id: ID secrets: String }")
    told = unlisted(old, new, "- Something else.")
    assert [text for text in told if "Key.masked" in text] == told != []
    assert unlisted(old, new, "- `Key.masked` is spoken of.") == told
    assert unlisted(old, new, "- **Breaking**: `Key.masked` is gone; ask for `secrets`.") == []
    assert unlisted(new, new, "") == []
