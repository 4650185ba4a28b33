"""Facts about keys."""

from portal.core.events import Event


class KeyCreated(Event, frozen=True, kw_only=True):
    key_id: str


class KeyChanged(Event, frozen=True, kw_only=True):
    """Updated, paused, resumed or rotated; `change` says which."""

    key_id: str
    change: str


class KeyRevoked(Event, frozen=True, kw_only=True):
    key_id: str
