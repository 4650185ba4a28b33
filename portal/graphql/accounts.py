"""The caller: a person, acting in an account with a role."""

from datetime import datetime
from typing import Self

import strawberry

from portal import accounts
from portal.core.actor import Permission
from portal.core.errors import Unauthenticated
from portal.graphql.connections import Node
from portal.graphql.context import Info
from portal.graphql.fields import computed


@strawberry.type(description="Somebody who signs in.")
class Person:
    id: strawberry.ID = strawberry.field(description="The person's id.")
    name: str = strawberry.field(description="The person's name.")
    email: str = strawberry.field(description="The e-mail address that the person signs in with.")
    is_staff: bool = strawberry.field(description="Whether the person works for the API's provider.")

    @classmethod
    def of(cls, row: accounts.Person) -> Self:
        return cls(id=strawberry.ID(row.id), name=row.name, email=row.email, is_staff=row.is_staff)


@strawberry.type(description="A customer of the API: owns keys, usage and a subscription.")
class Account(Node):
    name: str = strawberry.field(description="The account's name.")
    time_zone: str = strawberry.field(description="IANA name of the zone in which its billing months begin and end.")
    created_at: datetime = strawberry.field(description="When it was opened.")

    @classmethod
    def of(cls, row: accounts.Account) -> Self:
        return cls(id=strawberry.ID(row.id), name=row.name, time_zone=row.time_zone, created_at=row.created_at)


@strawberry.type(description="Who is calling, and what they may do.")
class Viewer:
    person: Person = strawberry.field(description="The person.")
    account: Account = strawberry.field(description="The account in which the person acts.")
    role: str = strawberry.field(description="The person's role there: owner, admin, developer, billing or viewer.")
    permissions: list[str] = strawberry.field(description="What the role allows, like keys:write.")


@strawberry.type
class AccountQueries:
    @computed("Who is calling.")
    async def viewer(self, info: Info) -> Viewer:
        context = info.context
        account = await accounts.get_account(context.tx, context.actor.account_id)
        if context.person is None:
            raise Unauthenticated("This caller is not a person.", hint="Send a personal token.")
        return Viewer(
            person=Person.of(context.person),
            account=Account.of(account),
            role=context.actor.role.value if context.actor.role else "staff",
            permissions=[permission.value for permission in Permission if context.actor.may(permission)],
        )


async def find_account(info: Info, account_id: str) -> Account | None:
    """Only the caller's own."""
    tx = info.context.permitted(Permission.ACCOUNT_READ)
    row = await accounts.find_account(tx, account_id) if account_id == info.context.actor.account_id else None
    return None if row is None else Account.of(row)
