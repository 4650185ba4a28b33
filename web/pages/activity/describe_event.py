"""An audit event in words: who did what to which thing, and where to look at it. Pure."""

from dataclasses import dataclass
from typing import Any

VERBS = {
    "key.create": "created the key",
    "key.update": "changed the key",
    "key.pause": "paused the key",
    "key.resume": "resumed the key",
    "key.rotate": "rotated the key",
    "key.revoke": "revoked the key",
    "key.override_limit": "changed a limit of the key",
    "key.clear_override": "put back the plan's limit of the key",
    "key.end_override": "let a changed limit end of the key",
    "plan.create": "made a plan",
    "plan.set_tariff": "set what usage costs",
    "plan.subscribe": "chose another plan",
    "invoice.finalize": "finalized the invoice",
    "usage.export": "exported usage",
    "account.sign_up": "opened the account",
    "account.switch": "switched account",
    "member.add": "added",
    "session.sign_in": "signed in",
    "session.revoke": "ended a session",
    "session.revoke_other": "ended all other sessions",
    "personal_token.create": "made a personal token",
    "personal_token.revoke": "revoked a personal token",
    "service_token.create": "made a service token",
    "service_token.revoke": "revoked a service token",
    "user.create": "made the log-in",
}


@dataclass(frozen=True, slots=True)
class EventDescription:
    """`object` is empty where the words say enough; `href` is empty where there is no page."""

    who: str
    what: str
    object: str
    href: str
    at: str


def describe_event(event: dict[str, Any]) -> EventDescription:
    """`event` has occurredAt, action, subject, subjectName, details and actor { kind name }."""
    is_key = event["action"].startswith("key.")
    is_invoice = event["action"].startswith("invoice.")
    named = event["subjectName"] or _noted_name(event)
    thing = named or (event["subject"] if is_key or is_invoice or event["action"] not in VERBS else "")
    return EventDescription(
        who=who(event["actor"]),
        what=VERBS.get(event["action"], event["action"]),
        object=thing,
        href=f"/keys/{event['subject']}" if is_key else f"/invoices/{event['subject']}" if is_invoice else "",
        at=event["occurredAt"],
    )


def who(actor: dict[str, Any]) -> str:
    """A person's name where they are (still) a member."""
    if actor["name"]:
        return str(actor["name"])
    return {"SYSTEM": "The portal", "SERVICE": "A gateway"}.get(actor["kind"], "A former member")


def _noted_name(event: dict[str, Any]) -> str:
    details = event["details"]
    name = details.get("name") or details.get("plan") or details.get("number")
    return str(name) if name else ""
