"""Why a check ended as it did, in words for the developer whose request it was."""

from dataclasses import dataclass

from portal.check.rules import Code


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
_UNKNOWN = Reason(
    "The call was denied for a reason that this portal does not know.", "Ask the provider about the code."
)


def reason_of(code: str) -> Reason:
    """Return the reason for a code, also for one that an older or newer version has counted."""
    return _REASONS[Code(code)] if code in Code.__members__ else _UNKNOWN
