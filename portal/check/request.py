"""What a gateway asks. Unknown fields, wrong types and values out of range are errors that name the field."""

from typing import Annotated, Literal, TypeVar

import msgspec
from msgspec import Meta

from portal.core.addresses import MAX_ADDRESS, InvalidAddress, parse_address
from portal.core.errors import InvalidBody, MalformedBody
from portal.core.json import refuse_doubled_members
from portal.core.texts import find_text_problem

MAX_COST = 1_000_000
MAX_BATCH = 1000
MAX_ATOMIC = 100

MAX_ROOM = len(',"ip":""') - 1
"""Bytes in which no member fits, but the blanks that most writers of JSON put behind commas and colons."""

Parsed = TypeVar("Parsed")


class CheckRequest(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """One check. `cost` in units, 0 looks without consuming; `id` makes a retry safe for 10 minutes."""

    key: Annotated[str, Meta(min_length=1, max_length=512)]
    cost: Annotated[int, Meta(ge=0, le=MAX_COST)] = 1
    resource: Annotated[str, Meta(max_length=200)] = ""
    scopes: Annotated[list[Annotated[str, Meta(min_length=1, max_length=100)]], Meta(max_length=50)] = []
    ip: Annotated[str, Meta(max_length=MAX_ADDRESS)] | None = None
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
    if not _has_single_members(request, body):
        refuse_doubled_members(body)
    is_plain = (
        request.ip is None
        and request.resource.isprintable()
        and (request.id is None or request.id.isprintable())
        and (not request.scopes or all(map(str.isprintable, request.scopes)))
    )
    return request if is_plain else _check_texts(request, "$")


def parse_batch(body: bytes) -> BatchRequest:
    """Parse the body of /check/batch. Raises MalformedBody, InvalidBody."""
    batch = _decode(_batch_decoder, body)
    refuse_doubled_members(body)
    checks = [_check_texts(request, f"$.checks[{position}]") for position, request in enumerate(batch.checks)]
    if any(checked is not request for checked, request in zip(checks, batch.checks, strict=True)):
        batch = BatchRequest(checks, batch.mode)
    if batch.mode == "atomic" and len(batch.checks) > MAX_ATOMIC:
        raise InvalidBody(f"Expected at most {MAX_ATOMIC} checks for atomic - at `$.checks`")
    return batch


def parse_settle(body: bytes) -> SettleRequest:
    """Parse the body of /check/settle. Raises MalformedBody, InvalidBody."""
    settle = _decode(_settle_decoder, body)
    refuse_doubled_members(body)
    return settle


def _decode(decoder: msgspec.json.Decoder[Parsed], body: bytes) -> Parsed:
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise InvalidBody(str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedBody(str(error)) from None


def _has_single_members(request: CheckRequest, body: bytes) -> bool:
    """Return whether the body is too short to hold any member twice; False where that is not sure.

    Beside what the request was certainly written with, escapes and all, there must be room for another member.
    """
    room = len(body) - len(request.key) - len('{"key":""}')
    if request.resource:
        room -= len(request.resource) + len(',"resource":""')
    if request.id is not None:
        room -= len(request.id) + len(',"id":""')
    if request.ip is not None:
        room -= len(request.ip) + len(',"ip":""')
    if request.scopes:
        room -= sum(map(len, request.scopes)) + 3 * len(request.scopes) + len(',"scopes":[]') - 1
    if request.cost != 1:
        room -= len(str(request.cost)) + len(',"cost":')
    elif room > MAX_ROOM and body.find(b'"cost":1') > 0:
        room -= len(',"cost":1')
    return room <= MAX_ROOM


def _check_texts(request: CheckRequest, place: str) -> CheckRequest:
    """Return the check with its address as it is compared and counted. Raises InvalidBody for what no text may hold."""
    _check_text(request.resource, place, "resource")
    if request.id is not None:
        _check_text(request.id, place, "id")
    for position, scope in enumerate(request.scopes):
        _check_text(scope, place, f"scopes[{position}]")
    if request.ip is None:
        return request
    try:
        address = str(parse_address(request.ip))
    except InvalidAddress as error:
        raise InvalidBody(f"Expected an IPv4 or IPv6 address without a zone - at `{place}.ip`") from error
    return request if address == request.ip else msgspec.structs.replace(request, ip=address)


def _check_text(text: str, place: str, name: str) -> None:
    problem = find_text_problem(text)
    if problem is not None:
        raise InvalidBody(f"Expected text without {problem} - at `{place}.{name}`")
