"""What a gateway asks. Unknown fields, wrong types and values out of range are errors that name the field."""

from collections.abc import Sequence
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
BLANKS = b" \t\n\r"
_KEY, _RESOURCE, _COST = len('{"key":""}'), len(',"resource":""'), len(',"cost":1')
_MODE = {"independent": 0, "atomic": len(',"mode":"atomic"')}

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
    resource = request.resource
    # What most gateways send has no room for a doubled member at first sight.
    room = len(body) - len(request.key) - len(resource) - (_KEY + _RESOURCE if resource else _KEY)
    if room > MAX_ROOM and _has_room(body, [request], 0):
        refuse_doubled_members(body)
    return request if _is_plain(request) else _check_texts(request, "$")


def parse_batch(body: bytes) -> BatchRequest:
    """Parse the body of /check/batch. Raises MalformedBody, InvalidBody."""
    batch = _decode(_batch_decoder, body)
    checks = batch.checks
    if _has_room(body, checks, len('{"checks":[]}') + _MODE[batch.mode]):
        refuse_doubled_members(body)
    for position, request in enumerate(checks):
        if not _is_plain(request):
            checks[position] = _check_texts(request, f"$.checks[{position}]")
    if batch.mode == "atomic" and len(checks) > MAX_ATOMIC:
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


def _has_room(body: bytes, checks: Sequence[CheckRequest], frame: int) -> bool:
    """Return whether the body has room for a member that what it was read as does not show; True if in doubt.

    `frame`: the bytes around the checks. All that was certainly written, escapes and all, is taken off, and the blanks
    between.
    """
    compact = body.translate(None, BLANKS)
    room = len(compact) - frame - len(checks) + 1  # a comma between two
    for request in checks:
        key, resource = request.key, request.resource
        room -= len(key) + _KEY
        if resource:
            room -= len(resource) + _RESOURCE
            if " " in resource:
                room += resource.count(" ")
        if " " in key:
            room += key.count(" ")
        if request.cost != 1:
            room -= len(str(request.cost)) + _COST - 1
        if request.id is not None:
            room -= len(request.id) - request.id.count(" ") + len(',"id":""')
        if request.ip is not None:
            room -= len(request.ip) - request.ip.count(" ") + len(',"ip":""')
        if request.scopes:
            room -= sum([len(scope) - scope.count(" ") + 3 for scope in request.scopes]) + len(',"scopes":[]') - 1
    if room > MAX_ROOM and len(checks) == 1 and checks[0].cost == 1 and b'"cost":1' in compact:
        room -= _COST
    return room > MAX_ROOM


def _is_plain(request: CheckRequest) -> bool:
    """Return whether there is nothing to bring into form, and in the texts nothing to look at twice."""
    return (
        request.ip is None
        and request.resource.isprintable()
        and (request.id is None or request.id.isprintable())
        and (not request.scopes or all(map(str.isprintable, request.scopes)))
    )


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
