"""Who acts, which role may do what, and how a verb says which permission it requires."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from enum import StrEnum
from functools import wraps
from typing import Any, Concatenate, Literal, ParamSpec, Self, TypeVar

from portal.core.errors import Forbidden, Unauthenticated
from portal.core.ids import AccountId


class Permission(StrEnum):
    """What somebody may do. `description` is what the roles page and the form of a new token say about it."""

    ACCOUNT_READ = "account:read", "See the account and its people"
    ACCOUNT_WRITE = "account:write", "Change the account and its people"
    KEYS_READ = "keys:read", "See keys and their limits"
    KEYS_WRITE = "keys:write", "Create, change, rotate and revoke keys"
    USAGE_READ = "usage:read", "See usage and quota"
    PLAN_READ = "plan:read", "See the plan catalogue and the account's plan"
    PLAN_WRITE = "plan:write", "Change the plan"
    INVOICES_READ = "invoices:read", "See invoices"
    AUDIT_READ = "audit:read", "Read the audit log"
    SELF_READ = "self:read", "See your own sessions and tokens"
    SELF_WRITE = "self:write", "Create and revoke your own tokens, end your own sessions, switch accounts"
    STAFF = "staff", "Manage what belongs to the provider: service tokens, limit overrides, prices"

    description: str

    def __new__(cls, value: str, description: str) -> Self:
        """Make a member that is equal to `value` and carries its description."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.description = description
        return member


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

ActorKind = Literal["anonymous", "person", "service", "system"]


@dataclass(frozen=True, slots=True)
class Actor:
    """The caller on whose behalf a verb runs. `account_id` is the tenant that every query is confined to.

    `scopes` are the most that a token may do (None: all that the role may); `credential` is the id of the session or
    token.
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
        """Return whether a personal token is used, which belongs to one account and shows nothing of others."""
        return self.credential is not None and self.credential.startswith("pat_")

    def may(self, permission: Permission) -> bool:
        """Return whether the caller has the permission. The system has all of them."""
        if self.kind == "system":
            return True
        if self.scopes is not None and permission.value not in self.scopes:
            return False
        if permission is Permission.STAFF:
            return self.is_staff
        return self.role is not None and permission in ROLE_PERMISSIONS[self.role]

    def require(self, permission: Permission) -> None:
        """Refuse a caller without the permission. Raises Unauthenticated for an anonymous one, else Forbidden."""
        if self.may(permission):
            return
        if self.kind == "anonymous":
            raise not_signed_in()
        if self.scopes is not None and permission.value not in self.scopes:
            raise Forbidden(f"This token lacks the scope {permission}.", hint="Send one that has it.")
        if permission is Permission.STAFF:
            raise Forbidden("This is for staff of the provider.", hint="No role in an account includes it.")
        raise Forbidden(f"Your role does not allow {permission}.", hint="Ask an owner or admin of the account.")


def not_signed_in() -> Unauthenticated:
    """Return the refusal of an anonymous caller."""
    hint = "Sign in, or send a personal token as Authorization: Bearer pat_…."
    return Unauthenticated("You are not signed in.", hint=hint)


NO_ACCOUNT = AccountId("")
ANONYMOUS = Actor("anonymous", "", NO_ACCOUNT)
SYSTEM = Actor("system", "system", NO_ACCOUNT)

Scope = TypeVar("Scope")
Answer = TypeVar("Answer")
Arguments = ParamSpec("Arguments")
Verb = Callable[Concatenate[Scope, Actor, Arguments], Coroutine[Any, Any, Answer]]


def requires(
    permission: Permission,
) -> Callable[[Verb[Scope, Arguments, Answer]], Verb[Scope, Arguments, Answer]]:
    """Let a verb `(tx, actor, …)` run only for an actor with the permission, and register that on the function.

    This is the only place that says what a verb requires: `requirement_of` reads it for the roles page and the schema.
    """

    def decorate(verb: Verb[Scope, Arguments, Answer]) -> Verb[Scope, Arguments, Answer]:
        @wraps(verb)
        async def check_and_run(
            scope: Scope, actor: Actor, /, *args: Arguments.args, **kwargs: Arguments.kwargs
        ) -> Answer:
            actor.require(permission)
            return await verb(scope, actor, *args, **kwargs)

        return register_requirement(check_and_run, permission)

    return decorate


Function = TypeVar("Function", bound=Callable[..., Any])


def register_requirement(function: Function, permission: Permission) -> Function:
    """Note on a function that checks it which permission it requires."""
    function.__dict__["requirement"] = permission
    return function


def requirement_of(function: object) -> Permission | None:
    """Return the permission that a verb or resolver requires, or None where it declares none."""
    return getattr(function, "requirement", None)
