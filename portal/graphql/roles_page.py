"""The page on roles, from what verbs and fields declare: `python -m portal.graphql.roles_page > docs/guides/roles.md`.

A test compares the committed page with this one, so a right that was given or taken is a line of a commit's diff; the
authorization matrix then tries every line of the page against the schema.
"""

import sys
from collections.abc import Iterator
from types import ModuleType
from typing import get_type_hints

from graphql import GraphQLField, GraphQLObjectType
from strawberry.types.field import StrawberryField

from portal import accounts, keys, plans, usage
from portal.core.actor import ROLE_PERMISSIONS, Permission, Role, requirement_of
from portal.graphql.schema import FINDERS, schema

DOMAINS = (accounts, keys, plans, usage)
ROOTS = ("Mutation", "Query", "Live")
HEAD = """# Roles and permissions
A person has one role in each account that they are a member of. Staff is not a role: it marks people who work for the
API's provider, and adds one permission to what their role allows in the account that they act in.

This page is generated from what the code declares (`@requires` at each verb and field) by
`python -m portal.graphql.roles_page > docs/guides/roles.md`, and a test compares the two. The authorization matrix
(`tests/graphql/test_authorization.py`) takes the tables below at their word and tries every operation of the GraphQL
schema with every role, on the caller's account and on another one. An object of another account is answered exactly
like one that does not exist.

A personal token may carry scopes, which are names of permissions. It then has at most those of its person's role.
Without scopes it follows the role. A token cannot create a token that may do more, or lives longer, than itself.
"""


def page() -> str:
    """Return the page as Markdown."""
    permissions = [*_head("permission", "allows to"), *_permission_rows()]
    operations = [*_head("operation", "requires"), *_operation_rows()]
    return "\n".join(
        [HEAD, "## Permissions of each role", *permissions, "", "## What each operation requires", *operations, ""]
    )


def requirements() -> dict[str, Permission | None]:
    """Return what every root field, every nested field that declares it, and every node type require, by name.

    Names are like `Mutation.createKey`, `Key.usage` and `node: Key`; `Live` has the subscriptions. None: any signed-in
    caller, or nothing declared.
    """
    found: dict[str, Permission | None] = {}
    for root in ROOTS:
        found |= {f"{root}.{name}": _declared(field) for name, field in fields_of(root)}
    for kind in schema.graphql_schema.type_map.values():
        if isinstance(kind, GraphQLObjectType) and kind.name not in ROOTS:
            nested = {f"{kind.name}.{name}": _declared(field) for name, field in kind.fields.items()}
            found |= {name: permission for name, permission in nested.items() if permission is not None}
    for finder in FINDERS.values():
        shown = get_type_hints(finder)["return"].__args__[0].__name__
        found[f"node: {shown}"] = requirement_of(finder)
    return found


def verbs_without_a_field() -> dict[str, Permission]:
    """Return what the verbs require that no mutation calls: those of commands and other endpoints."""
    called = {name.lower() for name, _ in fields_of("Mutation")}
    found = {name: requirement_of(getattr(domain, name)) for domain in DOMAINS for name in _names(domain)}
    return {
        name: permission
        for name, permission in found.items()
        if permission is not None and name.replace("_", "") not in called
    }


def fields_of(kind: str) -> list[tuple[str, GraphQLField]]:
    """Return the fields of an object type of the schema, by name."""
    known = schema.graphql_schema.type_map[kind]
    assert isinstance(known, GraphQLObjectType)  # noqa: S101  # the roots and what finders return are
    return [*known.fields.items()]


def _declared(field: GraphQLField) -> Permission | None:
    definition = field.extensions.get("strawberry-definition")
    if not isinstance(definition, StrawberryField) or definition.base_resolver is None:
        return None
    return requirement_of(definition.base_resolver.wrapped_func)


def _names(domain: ModuleType) -> list[str]:
    return [name for name in domain.__all__ if callable(getattr(domain, name))]


def _head(first: str, second: str) -> list[str]:
    names = [*[role.value for role in Role], "staff"]
    return [f"| {first} | {second} | {' | '.join(names)} |", "|---|---|" + "---|" * len(names)]


def _permission_rows() -> Iterator[str]:
    for permission in Permission:
        text = permission.description[0].lower() + permission.description[1:]
        yield f"| `{permission.value}` | {text} | {_marks(permission)} |"


def _operation_rows() -> Iterator[str]:
    known = requirements() | {f"verb: {name}": permission for name, permission in verbs_without_a_field().items()}
    for name, permission in known.items():
        if permission is None:
            yield f"| `{name}` | to be signed in | {' | '.join(['yes'] * (len(Role) + 1))} |"
        else:
            yield f"| `{name}` | `{permission.value}` | {_marks(permission)} |"


def _marks(permission: Permission) -> str:
    marks = ["yes" if permission in ROLE_PERMISSIONS[role] else "" for role in Role]
    return " | ".join([*marks, "yes" if permission is Permission.STAFF else ""])


if __name__ == "__main__":
    sys.stdout.write(page())
