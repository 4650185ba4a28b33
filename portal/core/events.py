"""Facts that a verb leaves for others. A lower domain tells a higher one by an event, never by a call."""

from typing import Any

import msgspec


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One fact; the class name is its type on the wire. Subclasses add their fields."""

    account_id: str

    @classmethod
    def type_name(cls) -> str:
        return cls.__name__

    def to_json(self) -> dict[str, Any]:
        document: dict[str, Any] = msgspec.to_builtins(self)
        return document


class PolicyChanged(Event, frozen=True, kw_only=True):
    """What a key of the account may do has changed; `version` is accounts.policy_version after the change."""

    version: int
