"""What the HTTP process is made of: built once by the cli, reached through `app.state.services`."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.requests import HTTPConnection

from portal.accounts.sign_in import Attempts
from portal.core.database import Database
from portal.core.settings import Settings
from portal.limits import Limiter

if TYPE_CHECKING:
    from portal.check import Checker, Meter, ServiceTokens
    from web.check.desk import Desk


@dataclass(frozen=True, slots=True)
class WebServices:
    settings: Settings
    database: Database
    checker: "Checker"
    desk: "Desk"
    tokens: "ServiceTokens"
    meter: "Meter"
    attempts: Attempts
    limiter: Limiter | None = None


def services_of(connection: HTTPConnection) -> WebServices:
    services: WebServices = connection.app.state.services
    return services
