"""The HTTP endpoint of GraphQL, as the GraphQL-over-HTTP specification says: POST JSON, or GET for queries.

`application/graphql-response+json` is answered with statuses that mean something; a client that accepts only
`application/json` gets 200 for every document that was well-formed as a request, since it may not read others. The same
address speaks graphql-transport-ws (websocket.py) and server-sent events (sse.py), and shows a browser
the explorer.
"""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, WebSocketRoute

from portal.core.errors import Unauthenticated, Unavailable
from portal.core.ids import new_id
from portal.core.outages.database_errors import is_dependency_unavailable
from portal.graphql import IdempotencyKey, Options, Result, SubscriptionContext, execute, open_stream
from web.auth.authenticate import authenticate
from web.auth.csrf import SAFE_METHODS
from web.auth.identity import Caller
from web.graphql.http_messages import (
    PLAIN_JSON,
    GraphQLRequest,
    RequestRefused,
    accepted_type,
    read_request,
    refusal,
    respond,
    respond_refused,
    status_of,
    wants_page,
)
from web.graphql.sse import EventStream, accepts_events, wants_events
from web.graphql.websocket import answer_socket
from web.http import accept_of
from web.pages.explorer.page import show_explorer
from web.services import services_of

IDEMPOTENCY_KEY = "Idempotency-Key"
MAX_NAME = 255


async def answer_graphql(request: Request) -> Response:
    """Answer as GraphQL, also what is no GraphQL request; a browser gets the explorer."""
    if wants_page(request):
        return await show_explorer(request)
    media_type = PLAIN_JSON if wants_events(request) else accepted_type(accept_of(request))
    try:
        if media_type is None:
            raise RequestRefused(406, "Accept application/graphql-response+json or application/json.")
        caller = await authenticate(request)
        graphql_request = await read_request(request)
        if accepts_events(request):
            return await _open_events(request, caller, graphql_request, media_type)
        result = await _execute(request, caller, graphql_request)
    except RequestRefused as error:
        return respond(request, refusal(error.code, error.message), error.status, media_type)
    except Unauthenticated as error:
        return respond_refused(request, error)
    except Exception as error:
        if not is_dependency_unavailable(error):
            raise
        result = refusal(Unavailable.code, "The database does not answer.", "Try again soon.")
    return respond(request, result, status_of(result, media_type or PLAIN_JSON), media_type)


async def _execute(request: Request, caller: Caller, graphql_request: GraphQLRequest) -> Result:
    options = _options(request, caller, graphql_request)
    database = services_of(request).database
    return await execute(
        database, caller.actor, caller.person, graphql_request.document, graphql_request.variables, options
    )


async def _open_events(request: Request, caller: Caller, graphql_request: GraphQLRequest, media_type: str) -> Response:
    """Open a stream. What is refused before it begins is an ordinary answer.

    So is a query's where events are only accepted; where they are wanted most it is a stream of one.
    """
    services, options = services_of(request), _options(request, caller, graphql_request)
    context = SubscriptionContext(services.database, services.hub)
    stream = await open_stream(
        context, (caller.actor, caller.person), graphql_request.document, graphql_request.variables, options
    )
    if isinstance(stream, Result) and not wants_events(request):
        return respond(request, stream, status_of(stream, media_type), media_type)
    if isinstance(stream, Result) and not stream.has_started:
        status = status_of(stream, PLAIN_JSON)
        return respond(request, stream, 400 if status == 200 else status, PLAIN_JSON)
    return EventStream(services.connections, caller, stream)


def _options(request: Request, caller: Caller, graphql_request: GraphQLRequest) -> Options:
    services = services_of(request)
    return Options(
        operation_name=graphql_request.operation_name,
        is_read_only=request.method in SAFE_METHODS,
        key_prefix=services.settings.key_prefix,
        request_id=getattr(request.state, "request_id", None) or new_id("http"),
        limiter=services.limiter,
        caps=services.settings.caps,
        charge=services.rate_limiter.charge,
        find_refusal=services.rate_limiter.find_refusal,
        idempotency_key=_idempotency_key(request, caller),
    )


def _idempotency_key(request: Request, caller: Caller) -> IdempotencyKey | None:
    """Return the key of the header, if any. Raises RequestRefused for one that cannot be a key."""
    name = request.headers.get(IDEMPOTENCY_KEY)
    if name is None:
        return None
    if not 1 <= len(name) <= MAX_NAME or not (name.isascii() and name.isprintable()):
        raise RequestRefused(400, f"{IDEMPOTENCY_KEY} is 1 to {MAX_NAME} visible characters.")
    return IdempotencyKey(name, caller.credential) if caller.credential else None


graphql_routes: list[BaseRoute] = [
    Route("/graphql", answer_graphql, methods=["GET", "POST"], name="graphql"),
    Route("/graphql/stream", answer_graphql, methods=["GET", "POST"], name="graphql_stream"),
    WebSocketRoute("/graphql", answer_socket, name="graphql_socket"),
]
