"""An audit event in words: who did what to which thing, and where to look at it. Pure."""

from dataclasses import dataclass
from typing import Any

from portal.audit import find_action


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
    action = find_action(event["action"])
    thing = named or (event["subject"] if is_key or is_invoice or action is None else "")
    return EventDescription(
        who=who(event["actor"]),
        what=event["action"] if action is None else action.words,
        object=thing,
        href=f"/keys/{event['subject']}" if is_key else f"/invoices/{event['subject']}" if is_invoice else "",
        at=event["occurredAt"],
    )


def who(actor: dict[str, Any]) -> str:
    """Return a person's name where they are (still) a member."""
    if actor["name"]:
        return str(actor["name"])
    return {"SYSTEM": "The portal", "SERVICE": "A gateway"}.get(actor["kind"], "A former member")


def _noted_name(event: dict[str, Any]) -> str:
    details = event["details"]
    name = details.get("name") or details.get("plan") or details.get("number") or details.get("time_zone")
    return str(name) if name else ""
