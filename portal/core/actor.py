"""Who acts, and the one table that says which role may do what."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from portal.core.errors import Forbidden, Unauthenticated
from portal.core.ids import AccountId


class Permission(StrEnum):
    ACCOUNT_READ = "account:read"
    ACCOUNT_WRITE = "account:write"
    KEYS_READ = "keys:read"
    KEYS_WRITE = "keys:write"
    USAGE_READ = "usage:read"
    PLAN_READ = "plan:read"
    PLAN_WRITE = "plan:write"
    INVOICES_READ = "invoices:read"
    AUDIT_READ = "audit:read"
    SELF_READ = "self:read"
    SELF_WRITE = "self:write"
    STAFF = "staff"


class Role(StrEnum):
    OWNER = "owner"
    ADMIN = "admin"
    DEVELOPER = "developer"
    BILLING = "billing"
    VIEWER = "viewer"


_READ = frozenset(
    {
        Permission.ACCOUNT_READ,
        Permission.KEYS_READ,
        Permission.USAGE_READ,
        Permission.PLAN_READ,
        Permission.SELF_READ,
        Permission.SELF_WRITE,
    }
)
_ADMIN = _READ | {
    Permission.KEYS_WRITE,
    Permission.ACCOUNT_WRITE,
    Permission.PLAN_WRITE,
    Permission.INVOICES_READ,
    Permission.AUDIT_READ,
}

ROLE_PERMISSIONS: dict[Role, frozenset[Permission]] = {
    Role.OWNER: _ADMIN,
    Role.ADMIN: _ADMIN,
    Role.DEVELOPER: _READ | {Permission.KEYS_WRITE},
    Role.BILLING: _READ | {Permission.PLAN_WRITE, Permission.INVOICES_READ},
    Role.VIEWER: _READ,
}

NEEDS: dict[str, Permission] = {
    # what changes something, by its verb
    "create_key": Permission.KEYS_WRITE,
    "update_key": Permission.KEYS_WRITE,
    "pause_key": Permission.KEYS_WRITE,
    "resume_key": Permission.KEYS_WRITE,
    "rotate_key": Permission.KEYS_WRITE,
    "revoke_key": Permission.KEYS_WRITE,
    "override_key_limit": Permission.STAFF,
    "clear_key_override": Permission.STAFF,
    "subscribe": Permission.PLAN_WRITE,
    "add_member": Permission.ACCOUNT_WRITE,
    "switch_account": Permission.SELF_WRITE,
    "revoke_session": Permission.SELF_WRITE,
    "revoke_other_sessions": Permission.SELF_WRITE,
    "create_personal_token": Permission.SELF_WRITE,
    "revoke_personal_token": Permission.SELF_WRITE,
    "create_service_token": Permission.STAFF,
    "revoke_service_token": Permission.STAFF,
    # what is read, by its field
    "key": Permission.KEYS_READ,
    "keys": Permission.KEYS_READ,
    "keys_needing_attention": Permission.KEYS_READ,
    "usage": Permission.USAGE_READ,
    "top_usage": Permission.USAGE_READ,
    "request": Permission.USAGE_READ,
    "requests": Permission.USAGE_READ,
    "quota": Permission.USAGE_READ,
    "plans": Permission.PLAN_READ,
    "subscription": Permission.PLAN_READ,
    "draft_invoice": Permission.INVOICES_READ,
    "invoice": Permission.INVOICES_READ,
    "invoices": Permission.INVOICES_READ,
    "members": Permission.ACCOUNT_READ,
    "audit_events": Permission.AUDIT_READ,
    "audit_chain": Permission.AUDIT_READ,
    "sessions": Permission.SELF_READ,
    "personal_tokens": Permission.SELF_READ,
    "service_tokens": Permission.STAFF,
    # what is told while it happens, by its field
    "usage_ticks": Permission.USAGE_READ,
    "key_changed": Permission.KEYS_READ,
}
"""What each verb and each thing that is read needs. Tests hold every GraphQL operation to it, for every role."""

ActorKind = Literal["anonymous", "person", "service", "system"]


@dataclass(frozen=True, slots=True)
class Actor:
    """The one on whose behalf a verb runs. `account_id` is the tenant that every query is confined to.

    `scopes` are what a token may at most (None: all that the role may); `credential` is the id of the session or token.
    """

    kind: ActorKind
    id: str
    account_id: AccountId
    role: Role | None = None
    is_staff: bool = False
    address: str | None = None
    scopes: frozenset[str] | None = None
    credential: str | None = None

    @property
    def is_by_token(self) -> bool:
        """A personal token is of one account, and shows nothing of its person's other ones."""
        return self.credential is not None and self.credential.startswith("pat_")

    def may(self, permission: Permission) -> bool:
        if self.kind == "system":
            return True
        if self.scopes is not None and permission.value not in self.scopes:
            return False
        if permission is Permission.STAFF:
            return self.is_staff
        return self.role is not None and permission in ROLE_PERMISSIONS[self.role]

    def require(self, permission: Permission) -> None:
        """Raises Unauthenticated for nobody, Forbidden for somebody without the permission."""
        if self.may(permission):
            return
        if self.kind == "anonymous":
            raise Unauthenticated("You are not signed in.", hint="Sign in, or send a token as Authorization: Bearer.")
        if self.scopes is not None and permission.value not in self.scopes:
            raise Forbidden(f"This token lacks the scope {permission}.", hint="Send one that has it.")
        raise Forbidden(f"Your role does not allow {permission}.", hint="Ask an owner or admin of the account.")


NO_ACCOUNT = AccountId("")
ANONYMOUS = Actor("anonymous", "", NO_ACCOUNT)
SYSTEM = Actor("system", "system", NO_ACCOUNT)
