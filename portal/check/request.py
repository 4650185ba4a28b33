"""What a gateway asks. Unknown fields, wrong types and values out of range are errors that name the field."""

import ipaddress
from typing import Annotated

import msgspec
from msgspec import Meta

COST_MOST = 1_000_000


class SignedRequest(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The original request, for keys whose signature is verified."""

    method: Annotated[str, Meta(max_length=20)]
    authority: Annotated[str, Meta(max_length=255)] = ""
    path: Annotated[str, Meta(max_length=8192)] = "/"
    query: Annotated[str, Meta(max_length=8192)] = ""
    headers: dict[str, str] = {}


class CheckRequest(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """One question. `cost` in units, 0 looks without consuming; `id` makes a retry safe for 10 minutes."""

    key: Annotated[str, Meta(min_length=1, max_length=512)]
    cost: Annotated[int, Meta(ge=0, le=COST_MOST)] = 1
    resource: Annotated[str, Meta(max_length=200)] = ""
    scopes: Annotated[list[Annotated[str, Meta(min_length=1, max_length=100)]], Meta(max_length=50)] = []
    ip: Annotated[str, Meta(max_length=64)] | None = None
    id: Annotated[str, Meta(min_length=1, max_length=200)] | None = None
    explain: bool = False
    request: SignedRequest | None = None


class MalformedCheck(Exception):
    """The body is not JSON."""


class InvalidCheck(Exception):
    """The body is JSON, but a value is not acceptable; the text names it."""


_decoder = msgspec.json.Decoder(CheckRequest)


def parse_check(body: bytes) -> CheckRequest:
    """Raises MalformedCheck, InvalidCheck."""
    try:
        request = _decoder.decode(body)
    except msgspec.ValidationError as error:
        raise InvalidCheck(str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedCheck(str(error)) from None
    if request.ip is not None:
        _check_ip(request.ip)
    if any(ord(character) < 32 for character in request.resource):
        raise InvalidCheck("Expected text without control characters - at `$.resource`")
    return request


def _check_ip(text: str) -> None:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        raise InvalidCheck("Expected an IPv4 or IPv6 address - at `$.ip`") from None
