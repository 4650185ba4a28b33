"""What the HTTP process is made of: built once by portal.runtime, reached through `app.state.services`."""

from dataclasses import dataclass

from starlette.requests import HTTPConnection

from portal.accounts import Throttle
from portal.check import Checker, ServiceTokens
from portal.core.database import Database
from portal.core.settings import Settings
from portal.graphql import GraphQLRateLimiter, SubscriptionHub
from portal.limits import Limiter
from portal.metering import Meter
from web.check.handler import CheckHandler
from web.connection.budget import ConnectionBudget
from web.graphql.live_connections import ConnectionRegistry


@dataclass(frozen=True, slots=True)
class WebServices:
    """Everything that routes need, built before the app."""

    settings: Settings
    database: Database
    checker: Checker
    check_handler: CheckHandler
    tokens: ServiceTokens
    meter: Meter
    throttle: Throttle
    limiter: Limiter
    rate_limiter: GraphQLRateLimiter
    hub: SubscriptionHub
    connections: ConnectionRegistry
    budget: ConnectionBudget


def services_of(connection: HTTPConnection) -> WebServices:
    """Return the services of the app that this connection came to."""
    services: WebServices = connection.app.state.services
    return services
