"""The caller: a person, acting in an account with a role; where else they may act, and who else is here."""

from datetime import datetime
from typing import Annotated, Self

import strawberry

from portal import accounts, plans
from portal.core.actor import Permission
from portal.core.errors import Unauthenticated
from portal.graphql.engine.errors import ConflictProblem, ForbiddenProblem, NotFoundProblem, ValidationProblem
from portal.graphql.engine.operation import Info
from portal.graphql.engine.pagination import After, Connection, First, Node, check_first, connection_of, decode_cursor
from portal.graphql.engine.resolvers import mutation, requires, resolver


@strawberry.type(description="A person who signs in.")
class Person(Node):
    name: str = strawberry.field(description="The person's name.")
    email: str = strawberry.field(description="The e-mail address that the person signs in with.")
    is_staff: bool = strawberry.field(description="Whether the person works for the API provider.")

    @classmethod
    def of(cls, row: accounts.Person | accounts.Member) -> Self:
        return cls(id=strawberry.ID(row.id), name=row.name, email=row.email, is_staff=row.is_staff)


@strawberry.type(description="A customer of the API. It owns keys, usage and a subscription.")
class Account(Node):
    name: str = strawberry.field(description="The account's name.")
    time_zone: str = strawberry.field(description="IANA time zone in which the account's billing months begin and end.")
    next_time_zone: str | None = strawberry.field(
        description="Time zone that was chosen for the next billing period on; null where it stays the same."
    )
    next_time_zone_from: datetime | None = strawberry.field(
        description="When the chosen time zone takes effect: the end of the current billing period."
    )
    created_at: datetime = strawberry.field(description="When the account was opened.")
    suspended_at: datetime | None = strawberry.field(
        description="When the account was suspended, if it is. Its keys are then denied with ACCOUNT_SUSPENDED."
    )

    @classmethod
    def of(cls, row: accounts.Account, now: datetime) -> Self:
        is_waiting = row.next_time_zone_from is not None and row.next_time_zone_from > now
        return cls(
            id=strawberry.ID(row.id),
            name=row.name,
            time_zone=row.time_zone_at(now),
            next_time_zone=row.next_time_zone if is_waiting else None,
            next_time_zone_from=row.next_time_zone_from if is_waiting else None,
            created_at=row.created_at,
            suspended_at=row.suspended_at,
        )


@strawberry.type(description="An account in which the caller may act, and their role there.")
class Membership:
    account: Account = strawberry.field(description="The account.")
    role: str = strawberry.field(description="The person's role in it: owner, admin, developer, billing or viewer.")
    joined_at: datetime = strawberry.field(description="When the person joined.")
    is_current: bool = strawberry.field(description="Whether this request acts in the account.")


@strawberry.type(description="A person who belongs to the account.")
class Member:
    person: Person = strawberry.field(description="The person.")
    role: str = strawberry.field(
        description="The person's role in the account: owner, admin, developer, billing or viewer."
    )
    joined_at: datetime = strawberry.field(description="When the person joined.")

    @classmethod
    def of(cls, row: accounts.Member) -> Self:
        return cls(person=Person.of(row), role=row.role, joined_at=row.joined_at)


@strawberry.type(description="The caller and what they may do.")
class Viewer:
    person: Person = strawberry.field(description="The person.")
    account: Account = strawberry.field(description="The account in which the caller acts.")
    role: str = strawberry.field(
        description="The caller's role in the account: owner, admin, developer, billing or viewer."
    )
    permissions: list[str] = strawberry.field(
        description="What the caller may do, like keys:write: the role's permissions, limited by the scopes of a token."
    )

    @resolver(
        "Accounts in which the caller may act, oldest membership first; at most 100. A token acts in one account only."
    )
    @requires(Permission.SELF_READ)
    async def memberships(self, info: Info) -> list[Membership]:
        context, tx = info.context, info.context.tx
        within = context.actor.account_id if context.actor.is_by_token else None
        return [
            Membership(
                account=Account.of(account, tx.now),
                role=row.role,
                joined_at=row.created_at,
                is_current=account.id == context.actor.account_id,
            )
            for row, account in await accounts.list_own_memberships(tx, context.actor.id, within)
        ]


@strawberry.type
class AccountQueries:
    @resolver("The caller.")
    async def viewer(self, info: Info) -> Viewer:
        context = info.context
        context.require_caller()
        account = await context.loaders.account.load(context.actor.account_id)
        if context.person is None:
            raise Unauthenticated("This caller is not a person.", hint="Send a personal token.")
        return Viewer(
            person=Person.of(context.person),
            account=Account.of(account, context.tx.now),
            role=context.actor.role.value if context.actor.role else "staff",
            permissions=[permission.value for permission in Permission if context.actor.may(permission)],
        )

    @resolver("People of the account, earliest to join first.")
    @requires(Permission.ACCOUNT_READ)
    async def members(self, info: Info, first: First = 25, after: After = None) -> Connection[Member]:
        tx, account_id = info.context.tx, info.context.actor.account_id
        seen = decode_cursor(after) if after else None
        rows = await accounts.list_members(tx, account_id, most=check_first(first) + 1, after=seen)
        items = [((row.joined_at, row.id), Member.of(row)) for row in rows]
        return connection_of(items, first, after, lambda: accounts.count_members(tx, account_id))


@strawberry.type(description="The session acts in another account from its next request on.")
class SwitchedAccount:
    account: Account = strawberry.field(description="The account in which the session acts now.")
    role: str = strawberry.field(description="The person's role in it.")


SwitchAccountResult = Annotated[
    SwitchedAccount | NotFoundProblem | ForbiddenProblem | ConflictProblem,
    strawberry.union("SwitchAccountResult", description="Result of switchAccount."),
]


@strawberry.type(description="The account's time zone is chosen.")
class TimeZoneSet:
    account: Account = strawberry.field(description="The account, with the time zone that waits.")


SetTimeZoneResult = Annotated[
    TimeZoneSet | ValidationProblem | NotFoundProblem | ForbiddenProblem | ConflictProblem,
    strawberry.union("SetTimeZoneResult", description="Result of setTimeZone."),
]


@strawberry.type
class AccountMutations:
    @mutation(
        "Switch this session to another account of the same person. A token belongs to one account and cannot switch.",
        accounts.switch_account,
    )
    async def switch_account(
        self,
        info: Info,
        account_id: Annotated[strawberry.ID, strawberry.argument(description="The account in which to act.")],
    ) -> SwitchAccountResult:
        tx = info.context.tx
        account, membership = await accounts.switch_account(tx, info.context.actor, account_id)
        return SwitchedAccount(account=Account.of(account, tx.now), role=membership.role)

    @mutation(
        "Choose the account's time zone. It takes effect with the next billing period, which begins where the current"
        " one ends and is 26 to 33 days long. The current time zone withdraws a choice. One change a billing period.",
        plans.set_time_zone,
    )
    async def set_time_zone(
        self,
        info: Info,
        time_zone: Annotated[str, strawberry.argument(description="IANA name, like Europe/Berlin.")],
    ) -> SetTimeZoneResult:
        tx = info.context.tx
        chosen = await plans.set_time_zone(tx, info.context.actor, time_zone)
        return TimeZoneSet(account=Account.of(chosen.account, tx.now))


@requires(Permission.ACCOUNT_READ)
async def find_account(info: Info, account_id: str) -> Account | None:
    """Return an account in which the caller may act, else None. A token acts in its own only."""
    tx, actor = info.context.tx, info.context.actor
    is_own = account_id == actor.account_id or (
        not actor.is_by_token and await accounts.find_membership(tx, account_id, actor.id) is not None
    )
    row = await accounts.find_account(tx, account_id) if is_own else None
    return None if row is None else Account.of(row, tx.now)


@requires(Permission.ACCOUNT_READ)
async def find_person(info: Info, person_id: str) -> Person | None:
    """Return a member of the account, else None."""
    tx, account_id = info.context.tx, info.context.actor.account_id
    rows = await accounts.list_members_by_id(tx, account_id, [person_id])
    return Person.of(rows[0]) if rows else None
