"""Who sends a request to the API: a personal token wins over the browser's session cookie."""

from starlette.requests import Request

from portal.accounts import AuthenticatedPerson, authenticate_token
from portal.core.errors import Unauthenticated
from web.auth.session import address_of, current_person
from web.services import services_of

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
MAX_TOKEN = 200


async def authenticate(request: Request) -> AuthenticatedPerson | None:
    """Return who sends this request, None where nobody says who they are. Raises Unauthenticated for a wrong token."""
    header = request.headers.get("Authorization")
    if header is not None:
        return await _by_token(request, header)
    visitor = await current_person(request)
    return None if visitor is None else AuthenticatedPerson(visitor.person, visitor.actor)


async def _by_token(request: Request, header: str) -> AuthenticatedPerson:
    scheme, _, token = header.partition(" ")
    found = None
    if scheme.lower() == "bearer" and len(token) <= MAX_TOKEN:
        async with services_of(request).database.transaction() as tx:
            found = await authenticate_token(tx, token.strip(), address_of(request))
    if found is None:
        raise Unauthenticated(
            "This token is unknown, expired or revoked.", hint="Send a personal token as Authorization: Bearer pat_…."
        )
    return found
