"""What happened to a key, on its way from the outbox through Redis to who looks."""

from datetime import datetime

import msgspec

from portal.keys import change_told_by


class KeyEvent(msgspec.Struct, frozen=True):
    """A change of a key. `number` is the outbox row's id: it increases, and the same one may come twice."""

    number: int
    account_id: str
    key_id: str
    change: str
    at: datetime


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(KeyEvent)


def channel_of(account_id: str) -> str:
    return f"live:{account_id}"


def key_event_from(message: bytes) -> KeyEvent | None:
    """Return the event in a message of the relay, or None for a message that is not about a key."""
    event = msgspec.json.decode(message)
    body = event["body"]
    change = change_told_by(event["type"], body)
    if change is None:
        return None
    return KeyEvent(
        number=event["id"],
        account_id=body["account_id"],
        key_id=body["key_id"],
        change=change,
        at=datetime.fromisoformat(event["createdAt"]),
    )


def encode(event: KeyEvent) -> bytes:
    return _encoder.encode(event)


def decode(message: bytes) -> KeyEvent:
    return _decoder.decode(message)
