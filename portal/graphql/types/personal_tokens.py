"""The caller's own personal access tokens for this account: GraphQL for scripts."""

from datetime import datetime
from enum import Enum
from typing import Annotated, Self

import strawberry

from portal import accounts
from portal.core.actor import Permission
from portal.graphql.engine.errors import ConflictProblem, ForbiddenProblem, NotFoundProblem, ValidationProblem
from portal.graphql.engine.operation import Info
from portal.graphql.engine.pagination import After, Connection, First, Node, check_first, connection_of, decode_cursor
from portal.graphql.engine.resolvers import mutation, requires, resolver
from portal.graphql.engine.scalars import value


@strawberry.enum(description="Whether a token is accepted.")
class TokenStatus(Enum):
    ACTIVE = value("active", "The token is accepted.")
    EXPIRED = value("expired", "The token has expired.")
    REVOKED = value("revoked", "The token was revoked.")

    @classmethod
    def at(cls, now: datetime, expires_at: datetime | None, revoked_at: datetime | None) -> "TokenStatus":
        if revoked_at is not None:
            return cls.REVOKED
        return cls.EXPIRED if expires_at is not None and expires_at <= now else cls.ACTIVE


@strawberry.type(description="A personal access token: lets a script act as its person in one account.")
class PersonalToken(Node):
    name: str = strawberry.field(description="What it is for.")
    masked: str = strawberry.field(description="Masked token, enough to recognize it: pat_ab12….")
    scopes: list[str] | None = strawberry.field(
        description="Permissions that limit the token, like keys:read; null for all that the role allows."
    )
    status: TokenStatus = strawberry.field(description="Current status.")
    created_at: datetime = strawberry.field(description="When it was created.")
    last_used_at: datetime | None = strawberry.field(description="When it was last used, to the minute; null if never.")
    expires_at: datetime | None = strawberry.field(description="When it expires; null for never.")
    revoked_at: datetime | None = strawberry.field(description="When it was revoked, if it was.")

    @classmethod
    def of(cls, row: accounts.PersonalToken, now: datetime) -> Self:
        return cls(
            id=strawberry.ID(row.id),
            name=row.name,
            masked=row.display,
            scopes=row.scopes,
            status=TokenStatus.at(now, row.expires_at, row.revoked_at),
            created_at=row.created_at,
            last_used_at=row.last_used_at,
            expires_at=row.expires_at,
            revoked_at=row.revoked_at,
        )


@strawberry.input(description="A new personal access token.")
class CreatePersonalTokenInput:
    name: str = strawberry.field(description="What the token is for: 1 to 100 visible characters.")
    scopes: list[str] | None = strawberry.field(
        default=None,
        description="Permissions that limit the token, like keys:read; null for all that the role allows.",
    )
    expires_at: datetime | None = strawberry.field(default=None, description="When it expires; null for never.")


@strawberry.type
class PersonalTokenQueries:
    @resolver("The caller's personal tokens for this account, newest first. Ended ones are listed for 30 more days.")
    @requires(Permission.SELF_READ)
    async def personal_tokens(self, info: Info, first: First = 25, after: After = None) -> Connection[PersonalToken]:
        tx, actor = info.context.tx, info.context.actor
        whose = actor.account_id, actor.id
        seen = decode_cursor(after) if after else None
        rows = await accounts.list_personal_tokens(tx, *whose, most=check_first(first) + 1, before=seen)
        items = [((row.created_at, row.id), PersonalToken.of(row, tx.now)) for row in rows]
        return connection_of(items, first, after, lambda: accounts.count_personal_tokens(tx, *whose))


@strawberry.type(description="A personal access token was created.")
class CreatedPersonalToken:
    personal_token: PersonalToken = strawberry.field(description="The token's record, without the token itself.")
    token: str = strawberry.field(
        description="The token to send as Authorization: Bearer. It is shown only once; only its SHA-256 is stored."
    )


@strawberry.type(description="A personal access token was revoked.")
class RevokedPersonalToken:
    personal_token: PersonalToken = strawberry.field(description="The token's record after the change.")


CreatePersonalTokenResult = Annotated[
    CreatedPersonalToken | ValidationProblem | ForbiddenProblem | ConflictProblem,
    strawberry.union("CreatePersonalTokenResult", description="Result of createPersonalToken."),
]
RevokePersonalTokenResult = Annotated[
    RevokedPersonalToken | NotFoundProblem | ForbiddenProblem,
    strawberry.union("RevokePersonalTokenResult", description="Result of revokePersonalToken."),
]


@strawberry.type
class PersonalTokenMutations:
    @mutation(
        "Create a personal access token for this account. The token is shown in this response only.",
        accounts.create_personal_token,
    )
    async def create_personal_token(
        self,
        info: Info,
        new: Annotated[CreatePersonalTokenInput, strawberry.argument(name="input", description="The token.")],
    ) -> CreatePersonalTokenResult:
        tx, actor = info.context.tx, info.context.actor
        most = info.context.caps.personal_tokens if info.context.caps else None
        created = await accounts.create_personal_token(tx, actor, new.name, new.expires_at, new.scopes, most)
        return CreatedPersonalToken(personal_token=PersonalToken.of(created.row, tx.now), token=created.token)

    @mutation("Revoke one of the caller's personal access tokens.", accounts.revoke_personal_token)
    async def revoke_personal_token(
        self,
        info: Info,
        token_id: Annotated[strawberry.ID, strawberry.argument(name="id", description="Id of the token.")],
    ) -> RevokePersonalTokenResult:
        tx = info.context.tx
        row = await accounts.revoke_personal_token(tx, info.context.actor, token_id)
        return RevokedPersonalToken(personal_token=PersonalToken.of(row, tx.now))


@requires(Permission.SELF_READ)
async def find_personal_token(info: Info, token_id: str) -> PersonalToken | None:
    """Return one of the caller's own tokens, else None."""
    tx, actor = info.context.tx, info.context.actor
    row = await accounts.find_own_token(tx, actor.account_id, actor.id, token_id)
    return None if row is None else PersonalToken.of(row, tx.now)
