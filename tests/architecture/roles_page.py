"""`python -m tests.architecture.roles_page > docs/guides/roles.md`: the page on roles, from the one table in code."""

import sys

from portal.core.actor import NEEDS, ROLE_PERMISSIONS, Permission, Role

MEANINGS = {
    Permission.ACCOUNT_READ: "see the account and its people",
    Permission.ACCOUNT_WRITE: "change the account and its people",
    Permission.KEYS_READ: "see keys and their limits",
    Permission.KEYS_WRITE: "create, change, rotate and revoke keys",
    Permission.USAGE_READ: "see usage and quota",
    Permission.PLAN_READ: "see the catalogue and the account's plan",
    Permission.PLAN_WRITE: "change the plan",
    Permission.INVOICES_READ: "see invoices",
    Permission.AUDIT_READ: "read the audit log",
    Permission.SELF_READ: "see one's own sessions and tokens",
    Permission.SELF_WRITE: "make and revoke one's own tokens, end one's own sessions, switch account",
    Permission.STAFF: "what belongs to the provider: service tokens of gateways",
}
HEAD = """# Roles and permissions
A person has one role in each account that they are a member of. Staff is no role: it is a mark of people who work for
the API's provider, and adds one permission to whatever their role allows in the account that they act in.

This page is generated from the table in `portal/core/actor.py`, and a test compares the two. The authorization matrix
(`tests/graphql/test_authorization.py`) tries every operation of the GraphQL schema with every role, on the own account
and on another one; another account's object is answered exactly like one that does not exist.

A personal token may carry scopes: names of permissions. It then has at most those of its person's role. Without scopes
it follows the role. A token makes no token that could do more, or lives longer, than itself.
"""


def page() -> str:
    return "\n".join([HEAD, "## Which role has which permission", *_roles(), "", "## What needs which", *_needs(), ""])


def _roles() -> list[str]:
    names = [role.value for role in Role]
    lines = [f"| permission | allows to | {' | '.join(names)} | staff |", "|---|---|" + "---|" * (len(names) + 1)]
    for permission in Permission:
        marks = ["yes" if permission in ROLE_PERMISSIONS[role] else "" for role in Role]
        marks.append("yes" if permission is Permission.STAFF else "")
        lines.append(f"| `{permission.value}` | {MEANINGS[permission]} | {' | '.join(marks)} |")
    return lines


def _needs() -> list[str]:
    lines = ["| permission | verbs and fields |", "|---|---|"]
    for permission in Permission:
        names = [f"`{name}`" for name, needed in NEEDS.items() if needed is permission]
        lines.append(f"| `{permission.value}` | {', '.join(names)} |")
    return lines


if __name__ == "__main__":
    sys.stdout.write(page())
