"""What the HTTP process is made of: built once by the cli, reached through `app.state.services`."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.requests import HTTPConnection

from portal.accounts.sessions.sign_in import Attempts
from portal.core.database import Database
from portal.core.settings import Settings
from portal.graphql import Allowances
from portal.limits import Limiter

if TYPE_CHECKING:
    from portal.check import Checker, ServiceTokens
    from portal.graphql.live import Feeds
    from portal.metering import Meter
    from web.check.handler import Desk
    from web.graphql.live_connections import Connections


@dataclass(frozen=True, slots=True)
class WebServices:
    settings: Settings
    database: Database
    checker: "Checker"
    desk: "Desk"
    tokens: "ServiceTokens"
    meter: "Meter"
    attempts: Attempts
    limiter: Limiter
    allowances: Allowances
    feeds: "Feeds"
    connections: "Connections"


def services_of(connection: HTTPConnection) -> WebServices:
    services: WebServices = connection.app.state.services
    return services
