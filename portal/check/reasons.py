"""Why a check ended as it did, in words for the developer whose request it was."""

from dataclasses import dataclass

from portal.check.rules import Code
from portal.usage import Denial, DeniedLimit


@dataclass(frozen=True, slots=True)
class Reason:
    """`what` happened, and what to do about it; an admitted call needs no remedy."""

    what: str
    remedy: str | None = None


_REASONS = {
    Code.VALID: Reason("The key was valid and every limit had room, so the call was admitted."),
    Code.NOT_FOUND: Reason(
        "No key has this text; it is mistyped or incomplete.",
        "Copy the whole key again, from its prefix to its last character.",
    ),
    Code.ACCOUNT_SUSPENDED: Reason(
        "The provider has suspended the account, so none of its keys verifies.",
        "Ask the provider why; keys work again as soon as the suspension is lifted.",
    ),
    Code.DISABLED: Reason(
        "The key was paused when the call came.", "Resume the key on its page; it works again at once."
    ),
    Code.REVOKED: Reason(
        "The key had been revoked when the call came. A revoked key never comes back.",
        "Create a new key and replace this one where it is still used.",
    ),
    Code.EXPIRED: Reason(
        "The key had reached its expiry, or a rotation had ended the secret that was sent.",
        "Use the key's current secret, or move its expiry.",
    ),
    Code.IP_NOT_ALLOWED: Reason(
        "The call came from an address that is not among those the key is tied to.",
        "Add the address or its network to the key, or call from one that is listed.",
    ),
    Code.INSUFFICIENT_SCOPE: Reason(
        "The endpoint needs a scope that the key does not have.",
        "Grant the scope to the key, or use a key that has it.",
    ),
    Code.RATE_LIMITED: Reason(
        "A limit of the plan or of the key had no room for this call in its time window.",
        "Wait for the time that Retry-After gave, spread calls out, or take a plan with higher limits.",
    ),
    Code.QUOTA_EXCEEDED: Reason(
        "The quota of the billing period was used up.",
        "Wait for the next period, or take a plan with a larger quota or with overage.",
    ),
    Code.EXPLAINED: Reason("This was a question about a call, not a call; it consumed nothing."),
}
_ENDED = {
    "key": Reason(
        "The key had reached its expiry.", "Move the expiry of the key, or create a new key and replace this one."
    ),
    "secret": Reason(
        "The secret that was sent has ended: the key was rotated, and the overlap is over.",
        "Use the key's current secret where this one is still sent.",
    ),
}
_LIMITS = frozenset({Code.RATE_LIMITED, Code.QUOTA_EXCEEDED})
_UNITS = ((86_400_000, "day", "days"), (3_600_000, "h", "h"), (60_000, "min", "min"), (1000, "s", "s"), (1, "ms", "ms"))
_UNKNOWN = Reason(
    "The call was denied for a reason that this portal does not know.", "Ask the provider about the code."
)


def reason_of(code: str, denial: Denial | None = None) -> Reason:
    """Return the reason for a code, also for one that an older or newer version has counted.

    With what the check lacked it is named; without, of all that the code may mean.
    """
    if code not in Code.__members__:
        return _UNKNOWN
    known = Code(code)
    if denial is not None:
        if known in _LIMITS and denial.limits:
            return _limit_reason(denial.limits)
        if known is Code.INSUFFICIENT_SCOPE and denial.missing_scopes:
            return _scope_reason(denial)
        if known is Code.IP_NOT_ALLOWED:
            return _address_reason(denial)
        if known is Code.EXPIRED and denial.ended in _ENDED:
            return _ENDED[denial.ended]
    return _REASONS[known]


def format_span(milliseconds: int) -> str:
    """Return a length of time by its two largest units: `964 ms`, `1 min 30 s`, `31 days`."""
    parts = []
    for unit, single, plural in _UNITS:
        count, milliseconds = divmod(milliseconds, unit)
        if count:
            parts.append(f"{count} {single if count == 1 else plural}")
        if len(parts) == 2 or (parts and not count):
            break
    return " ".join(parts) or "0 ms"


def _limit_reason(limits: tuple[DeniedLimit, ...]) -> Reason:
    first = limits[0]
    more = " ".join(["", "No room either:", ", ".join([_title(limit) for limit in limits[1:]]) + "."])
    what = _what(first) + (more if len(limits) > 1 else "")
    higher = "raise the key's own limit" if first.name.startswith("own-") else "take a plan with a higher limit"
    if first.window_ms == 0:
        higher = "take a plan with a larger quota or with overage"
    if first.retry_ms is None:
        return Reason(what, f"Waiting does not help: ask for less at once, or {higher}.")
    return Reason(what, f"Wait that long, spread calls out, or {higher}.")


def _what(limit: DeniedLimit) -> str:
    title = _title(limit)
    if limit.retry_ms is None:
        return f"This cost is above the limit: {title} never admits it."
    wait = format_span(limit.retry_ms)
    if limit.used is None:
        return f"Redis was away, and the part of {title} that one process may admit had no room. Ask again in {wait}."
    left = "nothing was left" if not limit.remaining else f"too little was left ({limit.remaining:,})"
    return f"Of {title} {left}: {limit.used:,} of {limit.limit:,} were used. The same check passes {wait} later."


def _title(limit: DeniedLimit) -> str:
    if limit.window_ms == 0:
        return f"the monthly quota ({limit.limit:,} units)"
    return f"the limit “{limit.name}” ({limit.limit:,} in {format_span(limit.window_ms)})"


def _scope_reason(denial: Denial) -> Reason:
    missing = ", ".join(denial.missing_scopes)
    them = "it" if len(denial.missing_scopes) == 1 else "them"
    granted = f"the key has {', '.join(denial.key_scopes)}" if denial.key_scopes else "the key has no scopes"
    return Reason(
        f"The check needs {missing}; {granted}.", f"Grant {missing} to the key, or use a key that has {them}."
    )


def _address_reason(denial: Denial) -> Reason:
    if not denial.address:
        return Reason(
            "The key is tied to addresses, and the gateway did not say where the call came from.",
            "Let the gateway send the caller's address as `ip`.",
        )
    return Reason(
        f"The call came from {denial.address}, which is not among the addresses that the key is tied to.",
        f"Add {denial.address} or its network to the key, or call from an address that is listed.",
    )
