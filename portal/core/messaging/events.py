"""Facts that a verb leaves for others. A lower domain tells a higher one by an event, never by a call."""

from typing import Any, ClassVar

import msgspec


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One fact. Subclasses add their fields and say their `wire_type`: what the outbox stores and handlers look for.

    A wire type never changes, whatever the class is called: rows with it may be waiting when a new version starts.
    """

    wire_type: ClassVar[str]
    account_id: str

    def __init_subclass__(cls) -> None:
        """Refuse a class without a wire type of its own."""
        super().__init_subclass__()
        if "wire_type" not in cls.__dict__:
            raise TypeError(f"{cls.__name__} has no wire_type")

    def to_json(self) -> dict[str, Any]:
        """Return the fields as a JSON object."""
        document: dict[str, Any] = msgspec.to_builtins(self)
        return document


class PolicyChanged(Event, frozen=True, kw_only=True):
    """What a key of the account may do has changed; `version` is accounts.policy_version after the change.

    `change` is a random name of this change, and `tombstones` are what Redis remembers of it, by id: see
    portal.keys.restore. Events of before they existed have neither.
    """

    wire_type = "PolicyChanged"
    version: int
    change: str = ""
    tombstones: dict[str, dict[str, Any]] = {}
