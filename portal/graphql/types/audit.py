"""The account's audit log: who did what, and whether its chain holds."""

from datetime import datetime
from enum import Enum
from typing import Annotated, Self

import strawberry

from portal import audit
from portal.core.actor import Permission
from portal.core.errors import Invalid
from portal.core.ids import BODY_LENGTH
from portal.graphql.engine.operation import Info
from portal.graphql.engine.pagination import After, Connection, First, Node, check_first, connection_of, decode_cursor
from portal.graphql.engine.resolvers import requires, resolver
from portal.graphql.engine.scalars import BigInt, Json, value

MAX_VERIFIED = 500


@strawberry.enum(description="The kind of caller.")
class ActorKind(Enum):
    ANONYMOUS = value("anonymous", "A caller who was not signed in.")
    PERSON = value("person", "A person, in the browser or with a personal token.")
    SERVICE = value("service", "A gateway with a service token.")
    SYSTEM = value("system", "The portal itself, or its operator on the command line.")


@strawberry.type(description="The caller who did it.")
class AuditActor:
    kind: ActorKind = strawberry.field(description="The kind of caller.")
    id: str = strawberry.field(description="Id of the person or service token.")
    address: str | None = strawberry.field(description="Client IP address, if known.")

    @resolver("The person's name, if they are (still) a member of the account.")
    async def name(self, info: Info) -> str | None:
        member = await info.context.loaders.members.load(self.id)
        return None if member is None else member.name


@strawberry.type(description="An entry of the account's audit log. Entries are kept permanently.")
class AuditEvent(Node):
    sequence: BigInt = strawberry.field(description="Position in the account's log, counted from 1 without gaps.")
    occurred_at: datetime = strawberry.field(description="When it happened.")
    action: str = strawberry.field(description="What was done, like key.create.")
    subject: str = strawberry.field(description="Id of the object that it was done to.")
    details: Json = strawberry.field(description="Further details as a JSON object. Never contains a secret.")
    actor: AuditActor = strawberry.field(description="The caller who did it.")
    hash: str = strawberry.field(description="SHA-256 of the previous event's hash and this event, in hexadecimal.")

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

    @resolver(
        "Name of the key or person that it was done to. Null for other objects and for those that no longer exist."
    )
    async def subject_name(self, info: Info) -> str | None:
        loaders = info.context.loaders
        if self.subject.startswith("key_"):
            return await loaders.key_names.load(self.subject)
        member = await loaders.members.load(self.subject) if self.subject.startswith("usr_") else None
        return None if member is None else member.name


@strawberry.type(description="Integrity of the audit log: each event's hash covers the event before it.")
class AuditChain:
    events: BigInt = strawberry.field(description="Number of events in the log.")
    verified: BigInt = strawberry.field(description="How many of the newest events were verified for this answer.")
    is_intact: bool = strawberry.field(description="Whether the verified events form an unbroken chain.")
    broken_at: BigInt | None = strawberry.field(
        description="Sequence of the first event that breaks the chain, if any."
    )
    last_hash: str = strawberry.field(
        description="Hash of the newest event. Store it elsewhere to detect a log that was truncated at its end."
    )


@strawberry.input(description="Selects events. Omitted fields do not restrict.")
class AuditFilter:
    action: str | None = strawberry.field(
        default=None, description="A single action (key.create) or all actions of a kind (key)."
    )
    subject: str | None = strawberry.field(default=None, description="Id of the object that was acted upon.")
    actor: str | None = strawberry.field(default=None, description="Id of the person or service token that acted.")

    def to_filter(self) -> audit.AuditFilter:
        return audit.AuditFilter(action=self.action, subject=self.subject, actor=self.actor)


Where = Annotated[AuditFilter | None, strawberry.argument(name="filter", description="Return only these events.")]


@strawberry.type
class AuditQueries:
    @resolver("Events of the account's audit log, newest first.")
    @requires(Permission.AUDIT_READ)
    async def audit_events(
        self, info: Info, first: First = 25, after: After = None, where: Where = None
    ) -> Connection[AuditEvent]:
        tx, account_id = info.context.tx, info.context.actor.account_id
        filters = where.to_filter() if where else audit.AuditFilter()
        before = _sequence_of(account_id, decode_cursor(after)[1]) if after else None
        if after and before is None:
            raise Invalid("This is not a cursor of this list.", hint="Take pageInfo.endCursor.", path=("after",))
        most = check_first(first) + 1
        rows = await audit.list_newest(tx, account_id, filters, most=most, before_sequence=before)
        items = [((row.occurred_at, _event_id(account_id, row.sequence)), AuditEvent.of(row)) for row in rows]
        return connection_of(items, first, after, lambda: audit.count_audit_events(tx, account_id, filters))

    @resolver(f"Integrity of the audit log. Its newest {MAX_VERIFIED} events are verified for each answer.")
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
    """Return a globally unique id: the account's own characters, then the number in its log."""
    return f"aud_{account_id.partition('_')[2]}{sequence}"


def _sequence_of(account_id: str, event_id: str) -> int | None:
    """Return the number of an event in the account's log, or None for any other id."""
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
