"""A verb lists itself once: one name in six places, its action beside it, and what shows those reads it from there.

To add a verb to a domain: its file `portal/<domain>/<verb>.py` with `@requires` and an action, its name in the face
`portal/<domain>/__init__.py`, its mutation in `portal/graphql/types/`; for a page, a document and a form. Then write
`schema.graphql` and `docs/guides/roles.md` anew. Nothing else lists verbs, which the last tests here show.
"""

import ast
import importlib
import re
from pathlib import Path

import pytest
from graphql import GraphQLEnumType, build_schema

from portal import audit, keys
from portal.core.messaging.outbox import Event
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
    actions = re.findall(r'^[A-Z_]+ = (?:audit\.|Key)Action\("([a-z_.]+)"', source, re.MULTILINE)
    assert actions
    for action in actions:
        words = sorted(action.replace(".", "_").split("_"))
        assert words == sorted(verb.removesuffix("s").split("_")) or action.endswith(f".{verb}"), action


def test_the_page_on_roles_is_the_codes() -> None:
    assert (ROOT / "docs" / "guides" / "roles.md").read_text() == page(), (
        "run `python -m portal.graphql.roles_page > docs/guides/roles.md`, and read which rights changed"
    )


AUDIT_ACTIONS = [
    "account.move",
    "account.set_time_zone",
    "account.sign_up",
    "account.suspend_again",
    "account.switch",
    "invoice.finalize",
    "key.clear_override",
    "key.create",
    "key.end_override",
    "key.override_limit",
    "key.pause",
    "key.reapply",
    "key.resume",
    "key.revoke",
    "key.rotate",
    "key.update",
    "member.add",
    "personal_token.create",
    "personal_token.revoke",
    "plan.add_version",
    "plan.change",
    "plan.create",
    "plan.retire",
    "plan.schedule",
    "plan.set_tariff",
    "plan.subscribe",
    "plan.undo_upgrade",
    "plan.withdraw_change",
    "service_token.create",
    "service_token.revoke",
    "session.revoke",
    "session.revoke_other",
    "session.sign_in",
    "usage.export",
    "user.create",
]
WIRE_TYPES = {"KeyChanged", "KeyCreated", "KeyRevoked", "PolicyChanged", "ServiceTokenRevoked", "UsageSettled"}
"""Stored in rows that outlive any version: names are added here, never changed."""
PLACES = {
    "portal/graphql/types/key_mutations.py",
    "portal/keys/__init__.py",
    "portal/keys/resume.py",
    "web/pages/keys/resume.graphql",
}
GENERATED = {"docs/guides/roles.md", "schema.graphql"}


def test_audit_actions_and_wire_types_are_what_is_stored() -> None:
    declared = [action.name for action in audit.list_actions() if not action.name.startswith("test.")]
    assert declared == AUDIT_ACTIONS
    assert {event.wire_type for event in Event.__subclasses__()} >= WIRE_TYPES


def test_an_event_without_a_wire_type_is_refused() -> None:
    with pytest.raises(TypeError, match="has no wire_type"):
        type("Renamed", (Event,), {"__annotations__": {"key_id": str}})


def test_an_action_is_declared_once() -> None:
    assert audit.Action("test.twice", "did") == audit.Action("test.twice", "did")
    with pytest.raises(ValueError, match="there are two actions"):
        audit.Action("test.twice", "did otherwise")


def test_subscribers_receive_every_change_that_the_schema_knows() -> None:
    kinds = SCHEMA.type_map["KeyChangeKind"]
    assert isinstance(kinds, GraphQLEnumType)
    changes = {action.change for action in audit.list_actions() if isinstance(action, keys.KeyAction)}
    assert changes == {name.lower() for name in kinds.values}
    told = {change: keys.change_told_by("KeyChanged", {"change": change}) for change in ("pause", "update", "unknown")}
    assert told == {"pause": "paused", "update": "updated", "unknown": "updated"}
    assert keys.change_told_by("PolicyChanged", {}) is None


def test_a_verb_is_named_in_no_other_places() -> None:
    """`resumeKey` for all of them: the demo, tests and what is generated aside."""
    name = re.compile(r"\b(resume_key|resumeKey|ResumeKeyResult|key\.resume)\b")
    found = set()
    for folder in ("portal", "web", "workers", "docs/guides"):
        for path in (ROOT / folder).rglob("*.*"):
            if path.suffix in (".py", ".graphql", ".html", ".md") and name.search(path.read_text()):
                found.add(str(path.relative_to(ROOT)))
    assert name.search((ROOT / "schema.graphql").read_text())
    assert {path for path in found if "/demo/" not in path} == PLACES | GENERATED - {"schema.graphql"}
