"""The HTTP endpoint of GraphQL, as the GraphQL-over-HTTP specification says: POST JSON, or GET for queries.

`application/graphql-response+json` is answered with statuses that mean something; a client that accepts only
`application/json` gets 200 for every document that was well-formed as a request, since it may not read others.
"""

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from portal.accounts import AuthenticatedPerson
from portal.core.actor import ANONYMOUS
from portal.core.database import is_connection_lost
from portal.core.errors import Forbidden, Unauthenticated, Unavailable
from portal.core.ids import new_id
from portal.graphql import MUTATION_BY_GET, Options, Result, error_code, execute, request_error
from web.authenticate import SAFE_METHODS, authenticate
from web.graphql_request import RESPONSE_JSON, GraphQLRequest, RequestRefused, accepted_type, read_request
from web.services import services_of

FAULT_STATUS = {"INTERNAL": 500, Unavailable.code: 503, "TIMEOUT": 503, MUTATION_BY_GET: 405}
REFUSED_STATUS = {Unauthenticated.code: 401, Forbidden.code: 403}
HEADERS = {"Cache-Control": "no-store", "Vary": "Accept, Authorization, Cookie"}


async def answer_graphql(request: Request) -> Response:
    """Every answer is a GraphQL one, also to what is no GraphQL request."""
    media_type = accepted_type(request.headers.get("Accept"))
    try:
        if media_type is None:
            raise RequestRefused(406, "Accept application/graphql-response+json or application/json.")
        caller = await authenticate(request)
        result = await _execute(request, caller, await read_request(request))
    except RequestRefused as error:
        return _respond(_refused(error.code, error.message), error.status, media_type)
    except (Unauthenticated, Forbidden) as error:
        return _respond(_refused(error.code, error.message, error.hint), REFUSED_STATUS[error.code], media_type)
    except Exception as error:
        if not is_connection_lost(error):
            raise
        return _respond(_refused(Unavailable.code, "The database does not answer.", "Try again soon."), 503, media_type)
    return _respond(result, status_of(result, media_type), media_type)


async def _execute(request: Request, caller: AuthenticatedPerson | None, asked: GraphQLRequest) -> Result:
    services = services_of(request)
    options = Options(
        operation_name=asked.operation_name,
        is_read_only=request.method in SAFE_METHODS,
        key_prefix=services.settings.key_prefix,
        request_id=getattr(request.state, "request_id", None) or new_id("http"),
        limiter=services.limiter,
    )
    actor, person = (caller.actor, caller.person) if caller else (ANONYMOUS, None)
    return await execute(services.database, actor, person, asked.document, asked.variables, options)


def status_of(result: Result, media_type: str) -> int:
    """Our own faults show in both media types; the caller's only where the client can tell them from a proxy's."""
    codes = {error_code(error) or "" for error in result.errors}
    if not result.has_started:
        known = [FAULT_STATUS[code] for code in codes if code in FAULT_STATUS]
        return known[0] if known else 400 if media_type == RESPONSE_JSON else 200
    is_refused = result.data is None and codes == {Unauthenticated.code}
    return 401 if is_refused and media_type == RESPONSE_JSON else 200


def _refused(code: str, message: str, hint: str | None = None) -> Result:
    return Result(None, [request_error(code, message, hint)], has_started=False)


def _respond(result: Result, status: int, media_type: str | None) -> Response:
    headers = dict(HEADERS)
    if status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="portal"'
    if status == 405:
        headers["Allow"] = "POST"
    body = msgspec.json.encode(result.to_json())
    return Response(body, status, headers, media_type=f"{media_type or 'application/json'}; charset=utf-8")


graphql_routes = [Route("/graphql", answer_graphql, methods=["GET", "POST"], name="graphql")]
