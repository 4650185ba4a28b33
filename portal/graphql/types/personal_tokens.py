"""The caller's own personal access tokens for this account: GraphQL for scripts."""

from datetime import datetime
from enum import Enum
from typing import Annotated, Self

import strawberry

from portal import accounts
from portal.core.actor import Permission
from portal.graphql.engine.context import Info
from portal.graphql.engine.pagination import After, Connection, First, Node, check_first, connection_of, decode_cursor
from portal.graphql.engine.problems import ForbiddenProblem, NotFoundProblem, ValidationProblem
from portal.graphql.engine.resolvers import mutation, requires, resolver
from portal.graphql.engine.scalars import value


@strawberry.enum(description="Whether a token is accepted.")
class TokenStatus(Enum):
    ACTIVE = value("active", "It is.")
    EXPIRED = value("expired", "No longer, since its expiry.")
    REVOKED = value("revoked", "No longer: somebody revoked it.")

    @classmethod
    def at(cls, now: datetime, expires_at: datetime | None, revoked_at: datetime | None) -> "TokenStatus":
        if revoked_at is not None:
            return cls.REVOKED
        return cls.EXPIRED if expires_at is not None and expires_at <= now else cls.ACTIVE


@strawberry.type(description="Lets a script act as its person in one account. The token itself is shown once.")
class PersonalToken(Node):
    name: str = strawberry.field(description="What it is for.")
    masked: str = strawberry.field(description="Enough of it to recognise: pat_ab12….")
    scopes: list[str] | None = strawberry.field(
        description="What it may at most, like keys:read; null: all that the person's role allows."
    )
    status: TokenStatus = strawberry.field(description="Whether it is accepted now.")
    created_at: datetime = strawberry.field(description="When it was made.")
    last_used_at: datetime | None = strawberry.field(description="When it was last used, to the minute; null: never.")
    expires_at: datetime | None = strawberry.field(description="From when on it is refused; null: never.")
    revoked_at: datetime | None = strawberry.field(description="When it was revoked; null: it was not.")

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
    name: str = strawberry.field(description="What it is for: 1 to 100 visible characters.")
    scopes: list[str] | None = strawberry.field(
        default=None, description="Permissions that it has at most, like keys:read; null: all that the role allows."
    )
    expires_at: datetime | None = strawberry.field(default=None, description="From when on it is refused; null: never.")


@strawberry.type
class PersonalTokenQueries:
    @resolver("The caller's tokens for this account, the newest first; ended ones for 30 days more.")
    @requires(Permission.SELF_READ)
    async def personal_tokens(self, info: Info, first: First = 25, after: After = None) -> Connection[PersonalToken]:
        tx, actor = info.context.tx, info.context.actor
        whose = actor.account_id, actor.id
        seen = decode_cursor(after) if after else None
        rows = await accounts.list_personal_tokens(tx, *whose, most=check_first(first) + 1, before=seen)
        items = [((row.created_at, row.id), PersonalToken.of(row, tx.now)) for row in rows]
        return connection_of(items, first, after, lambda: accounts.count_personal_tokens(tx, *whose))


@strawberry.type(description="A personal access token was made.")
class CreatedPersonalToken:
    personal_token: PersonalToken = strawberry.field(description="The token's record.")
    token: str = strawberry.field(description="What to send as Authorization: Bearer. Shown this once, kept nowhere.")


@strawberry.type(description="A personal access token is refused from now on.")
class RevokedPersonalToken:
    personal_token: PersonalToken = strawberry.field(description="The token's record as it is now.")


CreatePersonalTokenResult = Annotated[
    CreatedPersonalToken | ValidationProblem | ForbiddenProblem,
    strawberry.union("CreatePersonalTokenResult", description="What createPersonalToken answers."),
]
RevokePersonalTokenResult = Annotated[
    RevokedPersonalToken | NotFoundProblem | ForbiddenProblem,
    strawberry.union("RevokePersonalTokenResult", description="What revokePersonalToken answers."),
]


@strawberry.type
class PersonalTokenMutations:
    @mutation(
        "Make a personal access token for this account. The token is in this answer only.",
        accounts.create_personal_token,
    )
    async def create_personal_token(
        self,
        info: Info,
        new: Annotated[CreatePersonalTokenInput, strawberry.argument(name="input", description="The token.")],
    ) -> CreatePersonalTokenResult:
        tx, actor = info.context.tx, info.context.actor
        created = await accounts.create_personal_token(tx, actor, new.name, new.expires_at, new.scopes)
        return CreatedPersonalToken(personal_token=PersonalToken.of(created.row, tx.now), token=created.token)

    @mutation("Refuse one of the caller's tokens from now on.", accounts.revoke_personal_token)
    async def revoke_personal_token(
        self,
        info: Info,
        token_id: Annotated[strawberry.ID, strawberry.argument(name="id", description="The token's id.")],
    ) -> RevokePersonalTokenResult:
        tx = info.context.tx
        row = await accounts.revoke_personal_token(tx, info.context.actor, token_id)
        return RevokedPersonalToken(personal_token=PersonalToken.of(row, tx.now))


@requires(Permission.SELF_READ)
async def find_personal_token(info: Info, token_id: str) -> PersonalToken | None:
    """Only the caller's own."""
    tx, actor = info.context.tx, info.context.actor
    row = await accounts.find_own_token(tx, actor.account_id, actor.id, token_id)
    return None if row is None else PersonalToken.of(row, tx.now)
