"""What is done to keys, and the facts that it leaves for others.

A verb declares its action once, beside itself: the name in the audit log, the words of the activity page and what
subscribers of `keyChanged` are told are read from there.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from portal.audit import Action, find_action
from portal.core.messaging.outbox import Event


@dataclass(frozen=True, slots=True)
class KeyAction(Action):
    """Something that is done to a key; `change` is what subscribers of `keyChanged` receive."""

    change: str = "updated"

    @property
    def verb(self) -> str:
        """The name without its kind, like pause."""
        return self.name.removeprefix("key.")


class KeyCreated(Event, frozen=True, kw_only=True):
    """A key is new."""

    wire_type = "KeyCreated"
    key_id: str


class KeyChanged(Event, frozen=True, kw_only=True):
    """Anything but creating or revoking was done to a key; `change` is the action's verb."""

    wire_type = "KeyChanged"
    key_id: str
    change: str


class KeyRevoked(Event, frozen=True, kw_only=True):
    """A key never verifies again."""

    wire_type = "KeyRevoked"
    key_id: str


def change_told_by(wire_type: str, body: Mapping[str, Any]) -> str | None:
    """Return the change that subscribers receive, like paused; None for an event that is not about a key."""
    verbs = {KeyCreated.wire_type: "create", KeyChanged.wire_type: body.get("change"), KeyRevoked.wire_type: "revoke"}
    if wire_type not in verbs:
        return None
    action = find_action(f"key.{verbs[wire_type]}")
    return action.change if isinstance(action, KeyAction) else "updated"
