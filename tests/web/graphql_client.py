"""The GraphQL endpoint alone, behind the headers' middleware, and callers who hold real tokens and sessions."""

from dataclasses import dataclass
from types import SimpleNamespace

import httpx2
from starlette.applications import Starlette
from starlette.middleware import Middleware

from portal.accounts import NewAccount, create_personal_token, sign_in, sign_up
from portal.accounts.sessions.sign_in import Credentials
from portal.core.actor import Actor, Role
from portal.core.database import Database
from portal.core.ids import AccountId, new_id
from portal.core.settings import Settings
from portal.graphql import GraphQLRateLimiter
from tests.throttle import Unlimited as UnlimitedSignIns
from web.graphql.endpoint import graphql_routes
from web.middleware.origins import CsrfMiddleware
from web.middleware.security_headers import SecurityHeadersMiddleware

PASSWORD = "correct horse battery"
ADDRESS = "http://127.0.0.1:8000"


@dataclass(frozen=True)
class Visitor:
    actor: Actor
    token: str
    cookie: str


class Unlimited:
    """An allowance that never ends and tells nothing, like one whose Redis is away."""

    async def charge(self, actor: Actor, cost: int) -> None: ...

    def find_refusal(self, actor: Actor) -> None: ...


def graphql_app(settings: Settings, database: Database, rate_limiter: GraphQLRateLimiter | None = None) -> Starlette:
    app = Starlette(
        routes=graphql_routes,
        middleware=[Middleware(SecurityHeadersMiddleware, is_https=False), Middleware(CsrfMiddleware)],
    )
    app.state.services = SimpleNamespace(  # all that GraphQL needs of them
        settings=settings,
        database=database,
        limiter=None,
        rate_limiter=rate_limiter or Unlimited(),
        hub=None,
        connections=None,
    )
    return app


def client_of(app: Starlette) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url=ADDRESS)


async def new_visitor(database: Database) -> Visitor:
    email = f"{new_id('t').lower()}@example.com"
    async with database.transaction() as tx:
        person, account = await sign_up(tx, NewAccount(email, PASSWORD, "Ann", "Acme"))
        actor = Actor("person", person.id, AccountId(account.id), role=Role.OWNER)
        token = await create_personal_token(tx, actor, "script")
    signed_in = await sign_in(database, Credentials(email, PASSWORD), UnlimitedSignIns())
    return Visitor(actor, token.token, signed_in.token)
