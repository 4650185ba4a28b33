"""What happened to a key, on its way from the outbox through Redis to who looks."""

from datetime import datetime

import msgspec

from portal.keys import change_told_by


class KeyEvent(msgspec.Struct, frozen=True):
    """`number` is the outbox's: the same one may come twice, and they grow."""

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
    """From what the relay publishes on the bus; None for what is no business of a key."""
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


def encode(happening: KeyEvent) -> bytes:
    return _encoder.encode(happening)


def decode(message: bytes) -> KeyEvent:
    return _decoder.decode(message)
