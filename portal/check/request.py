"""What a gateway asks. Unknown fields, wrong types and values out of range are errors that name the field."""

import ipaddress
from typing import Annotated, Literal, TypeVar

import msgspec
from msgspec import Meta

from portal.core.errors import InvalidBody, MalformedBody

MAX_COST = 1_000_000
MAX_BATCH = 1000
MAX_ATOMIC = 100

Parsed = TypeVar("Parsed")


class CheckRequest(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """One check. `cost` in units, 0 looks without consuming; `id` makes a retry safe for 10 minutes."""

    key: Annotated[str, Meta(min_length=1, max_length=512)]
    cost: Annotated[int, Meta(ge=0, le=MAX_COST)] = 1
    resource: Annotated[str, Meta(max_length=200)] = ""
    scopes: Annotated[list[Annotated[str, Meta(min_length=1, max_length=100)]], Meta(max_length=50)] = []
    ip: Annotated[str, Meta(max_length=64)] | None = None
    id: Annotated[str, Meta(min_length=1, max_length=200)] | None = None
    explain: bool = False


class BatchRequest(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Many checks in one request: each for itself, or all or none."""

    checks: Annotated[list[CheckRequest], Meta(min_length=1, max_length=MAX_BATCH)]
    mode: Literal["independent", "atomic"] = "independent"


class SettleRequest(msgspec.Struct, forbid_unknown_fields=True, frozen=True, rename="camel"):
    """What a check turned out to cost."""

    request_id: Annotated[str, Meta(min_length=1, max_length=64)]
    cost: Annotated[int, Meta(ge=0, le=MAX_COST)]


_check_decoder = msgspec.json.Decoder(CheckRequest)
_settle_decoder = msgspec.json.Decoder(SettleRequest)
_batch_decoder = msgspec.json.Decoder(BatchRequest)


def parse_check(body: bytes) -> CheckRequest:
    """Parse the body of /check. Raises MalformedBody, InvalidBody."""
    request = _decode(_check_decoder, body)
    if request.ip is not None or not request.resource.isprintable():
        _check_texts(request)
    return request


def parse_batch(body: bytes) -> BatchRequest:
    """Parse the body of /check/batch. Raises MalformedBody, InvalidBody."""
    batch = _decode(_batch_decoder, body)
    for request in batch.checks:
        _check_texts(request)
    if batch.mode == "atomic" and len(batch.checks) > MAX_ATOMIC:
        raise InvalidBody(f"Expected at most {MAX_ATOMIC} checks for atomic - at `$.checks`")
    return batch


def parse_settle(body: bytes) -> SettleRequest:
    """Parse the body of /check/settle. Raises MalformedBody, InvalidBody."""
    return _decode(_settle_decoder, body)


def _decode(decoder: msgspec.json.Decoder[Parsed], body: bytes) -> Parsed:
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise InvalidBody(str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedBody(str(error)) from None


def _check_texts(request: CheckRequest) -> None:
    if request.ip is not None:
        _check_ip(request.ip)
    if not request.resource.isprintable():
        raise InvalidBody("Expected text without control characters - at `$.resource`")


def _check_ip(text: str) -> None:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        raise InvalidBody("Expected an IPv4 or IPv6 address - at `$.ip`") from None
