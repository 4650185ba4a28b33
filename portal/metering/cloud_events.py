"""External usage as it arrives: CloudEvents 1.0 in JSON, one or a batch, each accepted or refused by itself."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from portal.core.errors import InvalidBody
from portal.core.json import decode_json
from portal.core.texts import find_text_problem

MAX_EVENTS = 1000
MAX_UNITS = 1_000_000_000
MAX_SOURCE_BYTES = 1024
MAX_ID_BYTES = 512
"""Account, source and id make an index entry, and PostgreSQL takes none of more than 2,700 bytes."""

Text = Annotated[str, Meta(min_length=1, max_length=1024)]
Units = Annotated[int, Meta(ge=1, le=MAX_UNITS)]


class UsageData(msgspec.Struct, frozen=True):
    """What was used. `cost` and `units` are two names of one number, 1 when neither is given.

    Further fields may stand beside them: an event has other readers too.
    """

    resource: Annotated[str, Meta(max_length=200)] = ""
    cost: Units | None = None
    units: Units | None = None
    environment: Literal["live", "test"] | None = None

    @property
    def amount(self) -> int:
        """The units to count."""
        return self.cost or self.units or 1


class CloudEvent(msgspec.Struct, frozen=True):
    """The attributes that matter here; extensions may stand beside them. `subject` is a key's or an account's id.

    Without `time` it happened when it is received.
    """

    specversion: Literal["1.0"]
    id: Text
    source: Text
    type: Text
    subject: Annotated[str, Meta(min_length=1, max_length=64)]
    time: Annotated[datetime, Meta(tz=True)] | None = None
    data: UsageData = UsageData()
    datacontenttype: str = "application/json"


class Refusal(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why the event at a position of the request is not counted. `code` is stable."""

    position: int
    code: Literal["invalid", "unknown_subject", "too_late", "in_future", "conflict"]
    detail: str
    id: str | None = None


def parse_event(body: bytes) -> list[CloudEvent | Refusal]:
    """Parse one event in structured mode: attributes and data in one document. Raises MalformedBody."""
    return [_parse_item(0, decode_json(body))]


def parse_binary_event(attributes: Mapping[str, str], body: bytes) -> list[CloudEvent | Refusal]:
    """Parse one event in binary mode: attributes by their names, the body is the data. Raises MalformedBody."""
    return [_parse_item(0, {**attributes, **({"data": decode_json(body)} if body else {})})]


def parse_event_batch(body: bytes) -> list[CloudEvent | Refusal]:
    """Parse every event of an array in its order. Raises MalformedBody, InvalidBody unless it has 1 to 1,000."""
    items = decode_json(body)
    if not isinstance(items, list) or not 1 <= len(items) <= MAX_EVENTS:
        raise InvalidBody(f"Expected an array of 1 to {MAX_EVENTS} events")
    return [_parse_item(position, item) for position, item in enumerate(items)]


Parse = Callable[[bytes], list[CloudEvent | Refusal]]


def _parse_item(position: int, item: Any) -> CloudEvent | Refusal:
    if isinstance(item, dict) and "data" in item:
        item = {**item, "data": _read_data(item["data"])}
    try:
        event = msgspec.convert(item, CloudEvent)
        problem = _find_problem(item, event)
    except msgspec.ValidationError as error:
        problem = str(error)
    if problem is None:
        return event
    event_id = item.get("id") if isinstance(item, dict) else None
    return Refusal(position, "invalid", problem, event_id[:MAX_ID_BYTES] if isinstance(event_id, str) else None)


def _read_data(data: Any) -> Any:
    """Return data with whole numbers as integers, however they were written; `null` is no data.

    Languages whose numbers are floats write 5.0.
    """
    if data is None:
        return {}
    if not isinstance(data, dict):
        return data
    whole = {
        name: int(data[name])
        for name in ("cost", "units")
        if isinstance(data.get(name), float) and data[name].is_integer()
    }
    return {**data, **whole}


def _find_problem(item: dict[str, Any], event: CloudEvent) -> str | None:
    """Return what is wrong beyond what types say, or None."""
    data = event.data
    texts = {"id": event.id, "source": event.source, "type": event.type, "subject": event.subject}
    for name, text in {**texts, "data.resource": data.resource}.items():
        text_problem = find_text_problem(text)
        if text_problem is not None:
            return f"Expected text without {text_problem} - at `$.{name}`"
    if (
        len(event.source.split()) != 1
        or event.source != event.source.strip()
        or len(event.source.encode()) > MAX_SOURCE_BYTES
    ):
        return f"Expected a URI reference of at most {MAX_SOURCE_BYTES} bytes - at `$.source`"
    if len(event.id.encode()) > MAX_ID_BYTES:
        return f"Expected at most {MAX_ID_BYTES} bytes - at `$.id`"
    if "data_base64" in item or event.datacontenttype.partition(";")[0].strip().lower() != "application/json":
        return "Expected the data as JSON - at `$.data`"
    if data.cost is not None and data.units is not None:
        return "Expected either `cost` or `units` - at `$.data`"
    return None
