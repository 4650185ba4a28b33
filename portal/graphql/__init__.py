"""The contract for pages, frontends and scripts: one Strawberry schema over every domain, one file a domain.

Owns the table `kept_answers`, from which a repeated mutation is answered, and no rule: a resolver asks whether the
caller may, calls one verb or store function, and dresses what comes back. `execute` runs an operation in one
transaction of the caller's account, so that row-level security stands behind every resolver; nobody gets no transaction
at all. A mutation runs in its own savepoint and answers its problems as data; any other error undoes the whole
operation. What siblings need is loaded together (loaders.py); lists are paged by keyset cursors (connections.py).
Subscriptions are streams of such operations (stream.py, live/).

Bounds come before work: characters, tokens, depth, aliases, fields and directives, counted after fragments are expanded
(documents.py), then the cost (cost.py), charged to the caller's allowance (allowance.py), then 2 s for all of it.
Unexpected errors are masked with the request id and logged (errors.py).
"""

from portal.graphql.engine.context import GraphQLContext
from portal.graphql.engine.errors import error_code, request_error
from portal.graphql.engine.execute import execute
from portal.graphql.engine.options import Cost, IdempotencyKey, Options, Result
from portal.graphql.engine.prepare import MUTATION_BY_GET, RATE_LIMITED, SUBSCRIPTION
from portal.graphql.engine.rate_limit import GraphQLRateLimiter, RateLimitResult
from portal.graphql.engine.subscribe import SubscriptionContext, open_stream
from portal.graphql.schema import schema, sdl

__all__ = [
    "MUTATION_BY_GET",
    "RATE_LIMITED",
    "SUBSCRIPTION",
    "Cost",
    "GraphQLContext",
    "GraphQLRateLimiter",
    "IdempotencyKey",
    "Options",
    "RateLimitResult",
    "Result",
    "SubscriptionContext",
    "error_code",
    "execute",
    "open_stream",
    "request_error",
    "schema",
    "sdl",
]
