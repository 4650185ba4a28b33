"""Who calls GraphQL, over whichever transport, and the secret that proves it."""

from dataclasses import dataclass, replace
from typing import Any

from starlette.requests import HTTPConnection, Request
from starlette.websockets import WebSocket

from portal.accounts import Person, authenticate_token
from portal.core.actor import ANONYMOUS, Actor
from portal.core.errors import Unauthenticated
from web.auth.authenticate import MAX_TOKEN, authenticate
from web.auth.session import address_of, current_person, session_token
from web.services import services_of


@dataclass(frozen=True, slots=True)
class Caller:
    """`credential` is the token or the session cookie's value; empty for nobody."""

    actor: Actor
    person: Person | None = None
    credential: str = ""


async def caller_of(request: Request) -> Caller:
    """Return who sends this request and by which secret. Raises Unauthenticated for a wrong token."""
    found = await authenticate(request)
    if found is None:
        return nobody_at(request)
    header = request.headers.get("Authorization")
    return Caller(found.actor, found.person, session_token(request) if header is None else _bearer(header))


async def socket_caller(socket: WebSocket, payload: Any, *, is_cookie_taken: bool) -> Caller | None:
    """By the token in connection_init's payload, else the handshake's header, else the cookie of our own pages.

    None for nobody. Raises Unauthenticated for a wrong token.
    """
    header = _authorization(payload) or socket.headers.get("Authorization")
    if header is not None:
        token = _bearer(header)
        async with services_of(socket).database.transaction() as tx:
            found = await authenticate_token(tx, token, address_of(socket)) if token else None
        if found is None:
            raise Unauthenticated("This token is unknown, expired or revoked.")
        return Caller(found.actor, found.person, token)
    visitor = await current_person(socket) if is_cookie_taken else None
    return None if visitor is None else Caller(visitor.actor, visitor.person, visitor.token)


def nobody_at(connection: HTTPConnection) -> Caller:
    return Caller(replace(ANONYMOUS, address=address_of(connection)))


def _authorization(payload: Any) -> str | None:
    if not isinstance(payload, dict):
        return None
    for name, value in payload.items():
        if name.lower() == "authorization" and isinstance(value, str):
            return value
    return None


def _bearer(header: str) -> str:
    """Empty for what is no bearer token."""
    scheme, _, token = header.partition(" ")
    token = token.strip()
    return token if scheme.lower() == "bearer" and len(token) <= MAX_TOKEN else ""
