"""Pure rules of the check: what denies before any limit is asked."""

from collections.abc import Sequence
from enum import StrEnum

from portal.check.policy import KeyPolicy
from portal.check.request import CheckRequest
from portal.core.addresses import is_in_networks, parse_address, stored_networks


class Code(StrEnum):
    """How a check ended, in the order in which it is decided."""

    NOT_FOUND = "NOT_FOUND"
    ACCOUNT_SUSPENDED = "ACCOUNT_SUSPENDED"
    DISABLED = "DISABLED"
    REVOKED = "REVOKED"
    EXPIRED = "EXPIRED"
    IP_NOT_ALLOWED = "IP_NOT_ALLOWED"
    INSUFFICIENT_SCOPE = "INSUFFICIENT_SCOPE"
    RATE_LIMITED = "RATE_LIMITED"
    QUOTA_EXCEEDED = "QUOTA_EXCEEDED"
    VALID = "VALID"
    EXPLAINED = "EXPLAINED"


def pre_check(policy: KeyPolicy, request: CheckRequest, now_us: int) -> Code | None:
    """Return the first reason to deny, or None."""
    return next((code for code, is_denied in pre_checks(policy, request, now_us) if is_denied), None)


def pre_checks(policy: KeyPolicy, request: CheckRequest, now_us: int) -> list[tuple[Code, bool]]:
    """Return (code, whether it denies) of every rule that needs no limit, in order."""
    return [
        (Code.ACCOUNT_SUSPENDED, policy.is_suspended),
        (Code.DISABLED, policy.is_paused),
        (Code.REVOKED, policy.is_revoked),
        (Code.EXPIRED, _has_passed(policy.expires_us, now_us) or _has_passed(policy.secret_ends_us, now_us)),
        (Code.IP_NOT_ALLOWED, bool(policy.allowed_ips) and not is_ip_allowed(request.ip, policy.allowed_ips)),
        (Code.INSUFFICIENT_SCOPE, bool(request.scopes) and not has_scopes(policy.scopes, request.scopes)),
    ]


def is_ip_allowed(address: str | None, ranges: tuple[str, ...]) -> bool:
    """Return whether the address lies in one of the ranges; an IPv4 address written as IPv6 counts as IPv4."""
    return address is not None and is_in_networks(parse_address(address), stored_networks(ranges))


def has_scopes(granted: Sequence[str], wanted: Sequence[str]) -> bool:
    """Return whether each wanted scope is granted: `orders:*` grants all that begin with `orders:`, `*` everything."""
    return not missing_scopes(granted, wanted)


def missing_scopes(granted: Sequence[str], wanted: Sequence[str]) -> list[str]:
    """Return the wanted scopes that nothing grants, in their order."""
    return [scope for scope in wanted if not any(_grants(grant, scope) for grant in granted)]


def _grants(grant: str, scope: str) -> bool:
    if grant.endswith("*"):
        return scope.startswith(grant[:-1])
    return grant == scope


def _has_passed(instant_us: int | None, now_us: int) -> bool:
    return instant_us is not None and now_us >= instant_us
