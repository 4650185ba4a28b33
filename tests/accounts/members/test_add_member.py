"""Add a member: a person in the actor's account."""

from dataclasses import replace

import pytest

from portal import audit
from portal.accounts import NewMember, add_member, list_memberships
from portal.core.actor import ANONYMOUS, Actor, Role
from portal.core.database import Database
from portal.core.errors import Conflict, Forbidden, Invalid, Unauthenticated
from portal.core.ids import new_id


def new_member(role: Role = Role.DEVELOPER) -> NewMember:
    return NewMember(f"{new_id('m').lower()}@Example.com", "Ben Ito", role)


async def test_the_person_has_the_role_in_this_account_only(database: Database, owner: Actor) -> None:
    async with database.transaction() as tx:
        person = await add_member(tx, owner, new_member(Role.BILLING))
        memberships = await list_memberships(tx, person.id)
        rows = await audit.list_audit_events(tx, owner.account_id)
    assert [(row.account_id, row.role) for row in memberships] == [(owner.account_id, "billing")]
    assert (person.password_hash, person.is_staff) == (None, False)
    assert (rows[-1].action, rows[-1].subject, rows[-1].details) == ("member.add", person.id, {"role": "billing"})


async def test_a_known_address_is_a_conflict(database: Database, owner: Actor) -> None:
    new = new_member()
    async with database.transaction() as tx:
        await add_member(tx, owner, new)
        with pytest.raises(Conflict):
            await add_member(tx, owner, replace(new, email=new.email.upper()))


@pytest.mark.parametrize("change", [{"email": "nobody"}, {"name": " "}])
async def test_what_is_no_address_or_name_is_refused(database: Database, owner: Actor, change: dict[str, str]) -> None:
    async with database.transaction() as tx:
        with pytest.raises(Invalid) as refused:
            await add_member(tx, owner, replace(new_member(), **change))  # type: ignore[arg-type]  # mypy takes ** for every field
    assert refused.value.path == tuple(change)


async def test_who_may_not_change_the_account_may_add_nobody(database: Database, viewer: Actor) -> None:
    async with database.transaction() as tx:
        with pytest.raises(Forbidden):
            await add_member(tx, viewer, new_member())
        with pytest.raises(Unauthenticated):
            await add_member(tx, ANONYMOUS, new_member())


async def test_only_an_owner_makes_an_owner(database: Database, owner: Actor) -> None:
    async with database.transaction() as tx:
        with pytest.raises(Forbidden):
            await add_member(tx, replace(owner, role=Role.ADMIN), new_member(Role.OWNER))
        assert await add_member(tx, owner, new_member(Role.OWNER))
