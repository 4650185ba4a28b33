"""Who sends a request to the API: a personal token wins over the browser's session cookie."""

from starlette.requests import Request

from portal.accounts import AuthenticatedPerson, authenticate_token
from portal.core.errors import Forbidden, Unauthenticated
from web.auth.csrf import is_own_origin
from web.auth.session import address_of, current_person
from web.services import services_of

SAFE_METHODS = frozenset({"GET", "HEAD"})
MAX_TOKEN = 200


async def authenticate(request: Request) -> AuthenticatedPerson | None:
    """None where nobody says who they are.

    Raises Unauthenticated for a wrong token, Forbidden for a POST with our cookie from another site.
    """
    header = request.headers.get("Authorization")
    if header is not None:
        return await _by_token(request, header)
    visitor = await current_person(request)
    if visitor is None:
        return None
    if request.method not in SAFE_METHODS and not is_own_origin(request):
        raise Forbidden("This request was sent from another site.", hint="Send a personal token instead of the cookie.")
    return AuthenticatedPerson(visitor.person, visitor.actor)


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
