"""The account's audit log: who did what, and whether its chain holds."""

from datetime import datetime
from enum import Enum
from typing import Annotated, Self

import strawberry

from portal import audit
from portal.core.actor import Permission
from portal.core.errors import Invalid
from portal.core.ids import BODY_LENGTH
from portal.graphql.engine.context import Info
from portal.graphql.engine.pagination import After, Connection, First, Node, check_first, connection_of, decode_cursor
from portal.graphql.engine.resolvers import requires, resolver
from portal.graphql.engine.scalars import BigInt, Json, value

MAX_VERIFIED = 500


@strawberry.enum(description="What kind of caller did it.")
class ActorKind(Enum):
    ANONYMOUS = value("anonymous", "Nobody who is known.")
    PERSON = value("person", "A person, in the browser or with a personal token.")
    SERVICE = value("service", "A gateway.")
    SYSTEM = value("system", "The portal itself, or whoever runs it on the command line.")


@strawberry.type(description="Who did it.")
class AuditActor:
    kind: ActorKind = strawberry.field(description="What kind of caller.")
    id: str = strawberry.field(description="The person's or service token's id.")
    address: str | None = strawberry.field(description="From where, if it is known.")

    @resolver("The person's name; null for somebody who is no member of the account (any more).")
    async def name(self, info: Info) -> str | None:
        member = await info.context.loaders.members.load(self.id)
        return None if member is None else member.name


@strawberry.type(description="One act in the account, kept for ever.")
class AuditEvent(Node):
    sequence: BigInt = strawberry.field(description="Its number in the account's log, from 1 without gaps.")
    occurred_at: datetime = strawberry.field(description="When it was done.")
    action: str = strawberry.field(description="What was done, like key.create.")
    subject: str = strawberry.field(description="The id of what it was done to.")
    details: Json = strawberry.field(description="What else was noted, as a JSON object; never a secret.")
    actor: AuditActor = strawberry.field(description="Who did it.")
    hash: str = strawberry.field(description="SHA-256 over the row before and this one, in hexadecimal digits.")

    @classmethod
    def of(cls, row: audit.AuditEvent) -> Self:
        return cls(
            id=strawberry.ID(_event_id(row.account_id, row.sequence)),
            sequence=BigInt(row.sequence),
            occurred_at=row.occurred_at,
            action=row.action,
            subject=row.subject,
            details=Json(row.details),
            actor=AuditActor(kind=ActorKind(row.actor_kind), id=row.actor_id, address=row.address),
            hash=row.hash.hex(),
        )

    @resolver("The name of the key or person that it was done to; null for anything else, and for what is gone.")
    async def subject_name(self, info: Info) -> str | None:
        loaders = info.context.loaders
        if self.subject.startswith("key_"):
            return await loaders.key_names.load(self.subject)
        member = await loaders.members.load(self.subject) if self.subject.startswith("usr_") else None
        return None if member is None else member.name


@strawberry.type(description="Whether the log is as it was written: each row's hash covers the one before it.")
class AuditChain:
    events: BigInt = strawberry.field(description="How many rows the log has.")
    verified: BigInt = strawberry.field(description="How many of the newest rows were verified for this answer.")
    is_intact: bool = strawberry.field(description="Whether all of those follow from one another.")
    broken_at: BigInt | None = strawberry.field(description="The first row that does not; null if it is intact.")
    last_hash: str = strawberry.field(
        description="The newest row's hash. Keep it elsewhere, and a log that was cut at its end is found out."
    )


@strawberry.input(description="Which acts; what is left out restricts nothing.")
class AuditFilter:
    action: str | None = strawberry.field(default=None, description="One action (key.create), or all of a kind (key).")
    subject: str | None = strawberry.field(default=None, description="The id of what was acted upon.")
    actor: str | None = strawberry.field(default=None, description="The id of who acted.")

    def to_filter(self) -> audit.AuditFilter:
        return audit.AuditFilter(action=self.action, subject=self.subject, actor=self.actor)


Where = Annotated[AuditFilter | None, strawberry.argument(name="filter", description="Only these acts.")]


@strawberry.type
class AuditQueries:
    @resolver("What was done in the account, the newest first.")
    @requires(Permission.AUDIT_READ)
    async def audit_events(
        self, info: Info, first: First = 25, after: After = None, where: Where = None
    ) -> Connection[AuditEvent]:
        tx, account_id = info.context.tx, info.context.actor.account_id
        which = where.to_filter() if where else audit.AuditFilter()
        before = _sequence_of(account_id, decode_cursor(after)[1]) if after else None
        if after and before is None:
            raise Invalid("This is not a cursor of this list.", hint="Take pageInfo.endCursor.", path=("after",))
        most = check_first(first) + 1
        rows = await audit.list_newest(tx, account_id, which, most=most, before_sequence=before)
        items = [((row.occurred_at, _event_id(account_id, row.sequence)), AuditEvent.of(row)) for row in rows]
        return connection_of(items, first, after, lambda: audit.count_audit_events(tx, account_id, which))

    @resolver(f"Whether the log holds: its newest {MAX_VERIFIED} rows are verified for each answer.")
    @requires(Permission.AUDIT_READ)
    async def audit_chain(self, info: Info) -> AuditChain:
        tx, account_id = info.context.tx, info.context.actor.account_id
        state = await audit.verify_newest(tx, account_id, MAX_VERIFIED)
        return AuditChain(
            events=BigInt(state.events),
            verified=BigInt(state.verified),
            is_intact=state.broken is None,
            broken_at=None if state.broken is None else BigInt(state.broken.sequence),
            last_hash=state.last_hash.hex(),
        )


def _event_id(account_id: str, sequence: int) -> str:
    """Unique everywhere: the account's own characters, then the number in its log."""
    return f"aud_{account_id.partition('_')[2]}{sequence}"


def _sequence_of(account_id: str, event_id: str) -> int | None:
    """None for an event of another account, or no event."""
    body = event_id.partition("_")[2]
    whose, number = body[:BODY_LENGTH], body[BODY_LENGTH:]
    is_known = whose == account_id.partition("_")[2] and number.isascii() and number.isdigit() and len(number) < 19
    return int(number) if is_known else None


@requires(Permission.AUDIT_READ)
async def find_audit_event(info: Info, event_id: str) -> AuditEvent | None:
    tx, account_id = info.context.tx, info.context.actor.account_id
    sequence = _sequence_of(account_id, event_id)
    row = await audit.find_audit_event(tx, account_id, sequence) if sequence is not None else None
    return None if row is None else AuditEvent.of(row)
