"""Find out who calls the API, over whichever transport: a personal token wins over the browser's session cookie."""

from dataclasses import replace
from typing import Any

from starlette.requests import HTTPConnection, Request
from starlette.websockets import WebSocket

from portal.accounts import authenticate_token
from portal.core.actor import ANONYMOUS
from portal.core.errors import Unauthenticated
from web.auth.identity import Caller
from web.auth.session import current_visitor
from web.connection.budget import Rank, note_rank
from web.http import bearer_token, client_address
from web.services import services_of

AUTHORIZATION = "Authorization"


async def authenticate(request: Request) -> Caller:
    """Return who sends this request; an anonymous caller where nobody says who they are.

    Raises Unauthenticated for a wrong token.
    """
    header = request.headers.get(AUTHORIZATION)
    if header is not None:
        return await _caller_by_token(request, header)
    return await _caller_by_cookie(request) or Caller(replace(ANONYMOUS, address=client_address(request)))


async def authenticate_socket(socket: WebSocket, payload: Any, *, is_cookie_taken: bool) -> Caller | None:
    """Return who opens this socket: by connection_init's payload, the handshake's header, else our pages' cookie.

    None where nobody says who they are. Raises Unauthenticated for a wrong token.
    """
    header = _authorization(payload) or socket.headers.get(AUTHORIZATION)
    if header is not None:
        return await _caller_by_token(socket, header)
    return await _caller_by_cookie(socket) if is_cookie_taken else None


async def _caller_by_token(connection: HTTPConnection, header: str) -> Caller:
    token = bearer_token(header)
    found = None
    if token is not None:
        async with services_of(connection).database.transaction() as tx:
            found = await authenticate_token(tx, token, client_address(connection))
    if token is None or found is None:
        raise Unauthenticated(
            "This token is unknown, expired or revoked.", hint="Send a personal token as Authorization: Bearer pat_…."
        )
    note_rank(connection, Rank.PERSON)
    return Caller(found.actor, found.person, token)


async def _caller_by_cookie(connection: HTTPConnection) -> Caller | None:
    visitor = await current_visitor(connection)
    return None if visitor is None else Caller(visitor.actor, visitor.person, visitor.token)


def _authorization(payload: Any) -> str | None:
    if not isinstance(payload, dict):
        return None
    for name, value in payload.items():
        if name.lower() == "authorization" and isinstance(value, str):
            return value
    return None
