"""The caller's own sessions: browsers that are signed in."""

from datetime import datetime
from typing import Annotated, Self

import strawberry

from portal import accounts
from portal.core.actor import Actor, Permission
from portal.graphql.engine.errors import ForbiddenProblem, NotFoundProblem
from portal.graphql.engine.operation import Info
from portal.graphql.engine.pagination import After, Connection, First, Node, check_first, connection_of, decode_cursor
from portal.graphql.engine.resolvers import mutation, requires, resolver


@strawberry.type(description="A browser in which the caller is signed in.")
class Session(Node):
    device: str = strawberry.field(description="Browser and system, like Firefox on Linux.")
    address: str | None = strawberry.field(description="Client IP address of its last use.")
    created_at: datetime = strawberry.field(description="When the person signed in.")
    last_seen_at: datetime = strawberry.field(description="When it was last used, to the minute.")
    expires_at: datetime = strawberry.field(
        description="When it ends at the latest. It also ends after 30 minutes without use."
    )
    is_current: bool = strawberry.field(description="Whether this request uses the session.")

    @classmethod
    def of(cls, row: accounts.Session, actor: Actor) -> Self:
        return cls(
            id=strawberry.ID(row.id),
            device=accounts.device_name(row.user_agent),
            address=row.address,
            created_at=row.created_at,
            last_seen_at=row.seen_at,
            expires_at=row.expires_at,
            is_current=row.id == actor.credential,
        )


@strawberry.type
class SessionQueries:
    @resolver("The caller's active sessions in any account, newest first.")
    @requires(Permission.SELF_READ)
    async def sessions(self, info: Info, first: First = 25, after: After = None) -> Connection[Session]:
        tx, actor = info.context.tx, info.context.actor
        seen = decode_cursor(after) if after else None
        rows = await accounts.list_sessions(tx, actor.id, most=check_first(first) + 1, before=seen)
        items = [((row.created_at, row.id), Session.of(row, actor)) for row in rows]
        return connection_of(items, first, after, lambda: accounts.count_sessions(tx, actor.id))


@strawberry.type(description="A session was ended.")
class RevokedSession:
    session: Session = strawberry.field(description="The session that was ended.")


@strawberry.type(description="All other sessions of the caller were ended.")
class RevokedOtherSessions:
    count: int = strawberry.field(description="Number of sessions that were ended.")


RevokeSessionResult = Annotated[
    RevokedSession | NotFoundProblem | ForbiddenProblem,
    strawberry.union("RevokeSessionResult", description="Result of revokeSession."),
]
RevokeOtherSessionsResult = Annotated[
    RevokedOtherSessions | ForbiddenProblem,
    strawberry.union("RevokeOtherSessionsResult", description="Result of revokeOtherSessions."),
]


@strawberry.type
class SessionMutations:
    @mutation("End one of the caller's sessions. Its browser has to sign in again.", accounts.revoke_session)
    async def revoke_session(
        self,
        info: Info,
        session_id: Annotated[strawberry.ID, strawberry.argument(name="id", description="Id of the session.")],
    ) -> RevokeSessionResult:
        actor = info.context.actor
        return RevokedSession(
            session=Session.of(await accounts.revoke_session(info.context.tx, actor, session_id), actor)
        )

    @mutation(
        "End all of the caller's sessions except this one. When called with a token, end all of them.",
        accounts.revoke_other_sessions,
    )
    async def revoke_other_sessions(self, info: Info) -> RevokeOtherSessionsResult:
        return RevokedOtherSessions(count=await accounts.revoke_other_sessions(info.context.tx, info.context.actor))


@requires(Permission.SELF_READ)
async def find_session(info: Info, session_id: str) -> Session | None:
    """Return one of the caller's own sessions, else None."""
    tx, actor = info.context.tx, info.context.actor
    row = await accounts.find_own_session(tx, actor.id, session_id)
    return None if row is None else Session.of(row, actor)
