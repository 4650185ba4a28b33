"""The GraphQL contract for pages, frontends and scripts: one Strawberry schema over every domain.

Owns the table `kept_answers`, from which a repeated mutation is answered, and no rule: a resolver calls one verb or
store function, which checks the permission, and converts what it returns.

    engine/  how every operation is executed: prepared, charged, run, repeated, streamed
    types/   the schema's types and fields, one file a domain
    live/    events for subscribers
    schema.py      the types of all domains joined, and the SDL
    roles_page.py  docs/guides/roles.md, from what verbs and fields declare

How an operation runs: `execute` bounds it before any work (characters, tokens, depth, aliases, fields and directives,
counted after fragments are expanded), computes its cost and charges the caller's rate limit, then runs it in one
transaction of the caller's account, so that row-level security stands behind every resolver; an anonymous caller gets
no transaction at all. A mutation runs in a savepoint of its own and answers its problems as data; any other error
undoes the whole operation. Siblings load together what they need; lists are paged by keyset cursors. 2 s bound all of
it. `open_stream` does the same for each event of a subscription.

Failure: unexpected errors are logged and masked with the request id. Without Redis nobody is charged or refused.
"""

from portal.graphql.engine.errors import error_code, request_error
from portal.graphql.engine.execute import execute
from portal.graphql.engine.idempotency import IdempotencyMismatch, RequestInProgress, purge_responses
from portal.graphql.engine.operation import IdempotencyKey, Options, Result, RunOnce
from portal.graphql.engine.prepare import MUTATION_BY_GET, RATE_LIMITED
from portal.graphql.engine.rate_limit import RATE_LIMIT_WINDOW_SECONDS, GraphQLRateLimiter, RateLimitResult
from portal.graphql.engine.subscribe import SubscriptionContext, open_stream
from portal.graphql.engine.validation import prepare
from portal.graphql.live import Publisher, SubscriptionHub
from portal.graphql.schema import schema, sdl

__all__ = [
    "MUTATION_BY_GET",
    "RATE_LIMITED",
    "RATE_LIMIT_WINDOW_SECONDS",
    "GraphQLRateLimiter",
    "IdempotencyKey",
    "IdempotencyMismatch",
    "Options",
    "Publisher",
    "RateLimitResult",
    "RequestInProgress",
    "Result",
    "RunOnce",
    "SubscriptionContext",
    "SubscriptionHub",
    "error_code",
    "execute",
    "open_stream",
    "prepare",
    "purge_responses",
    "request_error",
    "schema",
    "sdl",
]
