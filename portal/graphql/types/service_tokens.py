"""Service tokens: what the provider's gateways send to /check. For staff alone."""

from datetime import datetime
from typing import Annotated, Self

import strawberry

from portal import accounts
from portal.core.actor import Permission
from portal.graphql.engine.errors import ConflictProblem, ForbiddenProblem, NotFoundProblem, ValidationProblem
from portal.graphql.engine.operation import Info
from portal.graphql.engine.pagination import After, Connection, First, Node, check_first, connection_of, decode_cursor
from portal.graphql.engine.resolvers import mutation, requires, resolver
from portal.graphql.types.personal_tokens import TokenStatus


@strawberry.type(description="A service token: lets a gateway call /check. The token itself is shown once.")
class ServiceToken(Node):
    name: str = strawberry.field(description="The gateway that uses the token.")
    masked: str = strawberry.field(
        description="Masked token, enough to recognize it: svc_ab12…. Empty for the oldest tokens."
    )
    scopes: list[str] = strawberry.field(description="What the token may be used for: check.")
    status: TokenStatus = strawberry.field(description="Current status.")
    created_at: datetime = strawberry.field(description="When it was created.")
    revoked_at: datetime | None = strawberry.field(description="When it was revoked, if it was.")

    @classmethod
    def of(cls, row: accounts.ServiceToken, now: datetime) -> Self:
        return cls(
            id=strawberry.ID(row.id),
            name=row.name,
            masked=row.display,
            scopes=row.scopes,
            status=TokenStatus.at(now, None, row.revoked_at),
            created_at=row.created_at,
            revoked_at=row.revoked_at,
        )


@strawberry.type
class ServiceTokenQueries:
    @resolver("The provider's service tokens, including revoked ones, newest first. For the provider's staff.")
    @requires(Permission.STAFF)
    async def service_tokens(self, info: Info, first: First = 25, after: After = None) -> Connection[ServiceToken]:
        tx = info.context.tx
        seen = decode_cursor(after) if after else None
        rows = await accounts.list_service_tokens(tx, most=check_first(first) + 1, before=seen)
        items = [((row.created_at, row.id), ServiceToken.of(row, tx.now)) for row in rows]
        return connection_of(items, first, after, lambda: accounts.count_service_tokens(tx))


@strawberry.type(description="A service token was created.")
class CreatedServiceToken:
    service_token: ServiceToken = strawberry.field(description="The token's record, without the token itself.")
    token: str = strawberry.field(
        description="The token that the gateway sends. It is shown only once; only its SHA-256 is stored."
    )


@strawberry.type(description="A service token was revoked. It stops working within a few seconds.")
class RevokedServiceToken:
    service_token: ServiceToken = strawberry.field(description="The token's record after the change.")


CreateServiceTokenResult = Annotated[
    CreatedServiceToken | ValidationProblem | ForbiddenProblem | ConflictProblem,
    strawberry.union("CreateServiceTokenResult", description="Result of createServiceToken."),
]
RevokeServiceTokenResult = Annotated[
    RevokedServiceToken | NotFoundProblem | ForbiddenProblem,
    strawberry.union("RevokeServiceTokenResult", description="Result of revokeServiceToken."),
]


@strawberry.type
class ServiceTokenMutations:
    @mutation(
        "Create a service token for a gateway. The token is shown in this response only. For the provider's staff.",
        accounts.create_service_token,
    )
    async def create_service_token(
        self, info: Info, name: Annotated[str, strawberry.argument(description="The gateway that will use the token.")]
    ) -> CreateServiceTokenResult:
        tx = info.context.tx
        most = info.context.caps.service_tokens if info.context.caps else None
        created = await accounts.create_service_token(tx, info.context.actor, name, most)
        return CreatedServiceToken(service_token=ServiceToken.of(created.row, tx.now), token=created.token)

    @mutation("Revoke a gateway's service token. For the provider's staff.", accounts.revoke_service_token)
    async def revoke_service_token(
        self,
        info: Info,
        token_id: Annotated[strawberry.ID, strawberry.argument(name="id", description="Id of the token.")],
    ) -> RevokeServiceTokenResult:
        tx = info.context.tx
        row = await accounts.revoke_service_token(tx, info.context.actor, token_id)
        return RevokedServiceToken(service_token=ServiceToken.of(row, tx.now))


@requires(Permission.STAFF)
async def find_service_token(info: Info, token_id: str) -> ServiceToken | None:
    tx = info.context.tx
    row = await accounts.find_service_token_by_id(tx, token_id)
    return None if row is None else ServiceToken.of(row, tx.now)
