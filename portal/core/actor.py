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
    AUDIT_READ = "audit:read"
    STAFF = "staff"


class Role(StrEnum):
    OWNER = "owner"
    ADMIN = "admin"
    DEVELOPER = "developer"
    BILLING = "billing"
    VIEWER = "viewer"


_READ = frozenset({Permission.ACCOUNT_READ, Permission.KEYS_READ, Permission.USAGE_READ, Permission.PLAN_READ})
_ADMIN = _READ | {
    Permission.KEYS_WRITE,
    Permission.ACCOUNT_WRITE,
    Permission.PLAN_WRITE,
    Permission.AUDIT_READ,
}

ROLE_PERMISSIONS: dict[Role, frozenset[Permission]] = {
    Role.OWNER: _ADMIN,
    Role.ADMIN: _ADMIN,
    Role.DEVELOPER: _READ | {Permission.KEYS_WRITE},
    Role.BILLING: _READ | {Permission.PLAN_WRITE},
    Role.VIEWER: _READ,
}

ActorKind = Literal["anonymous", "person", "service", "system"]


@dataclass(frozen=True, slots=True)
class Actor:
    """The one on whose behalf a verb runs. `account_id` is the tenant that every query is confined to."""

    kind: ActorKind
    id: str
    account_id: AccountId
    role: Role | None = None
    is_staff: bool = False
    address: str | None = None

    def may(self, permission: Permission) -> bool:
        if self.kind == "system":
            return True
        if permission is Permission.STAFF:
            return self.is_staff
        return self.role is not None and permission in ROLE_PERMISSIONS[self.role]

    def require(self, permission: Permission) -> None:
        """Raises Unauthenticated for nobody, Forbidden for somebody without the permission."""
        if self.may(permission):
            return
        if self.kind == "anonymous":
            raise Unauthenticated("You are not signed in.", hint="Sign in, or send a token as Authorization: Bearer.")
        raise Forbidden(f"Your role does not allow {permission}.", hint="Ask an owner or admin of the account.")


NO_ACCOUNT = AccountId("")
ANONYMOUS = Actor("anonymous", "", NO_ACCOUNT)
SYSTEM = Actor("system", "system", NO_ACCOUNT)
