"""What is a person's own: sessions, personal tokens, the account they act in."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from portal import accounts, audit
from portal.accounts.rules import check_scopes, device_name
from portal.accounts.sessions.sign_in import Credentials, open_session
from portal.core.actor import ANONYMOUS, SYSTEM, Actor, Permission, Role
from portal.core.database import Database
from portal.core.errors import Conflict, Forbidden, Invalid, NotFound, Unauthenticated
from portal.core.ids import new_id


async def signed_in(database: Database, actor: Actor) -> Actor:
    """The same person, in a session."""
    async with database.transaction() as tx:
        person = await accounts.find_person(tx, actor.id)
        assert person is not None
        opened = await open_session(tx, person, Credentials(person.email, ""))
    return replace(actor, credential=opened.session.id)


async def join(database: Database, actor: Actor, other: Actor, role: Role) -> None:
    """The actor becomes a member of the other's account."""
    async with database.transaction() as tx:
        await tx.insert(
            accounts.Membership(account_id=other.account_id, person_id=actor.id, role=role.value, created_at=tx.now)
        )


async def actions(database: Database, account_id: str) -> list[str]:
    async with database.transaction() as tx:
        return [row.action for row in await audit.list_newest(tx, account_id, audit.AuditFilter(), most=10)]


@pytest.mark.fast
async def test_a_token_acts_within_its_scopes(database: Database, owner: Actor) -> None:
    async with database.transaction(actor=owner) as tx:
        made = await accounts.create_personal_token(tx, owner, "script", scopes=["usage:read", "keys:read"])
    assert made.row.scopes == ["keys:read", "usage:read"]
    async with database.transaction() as tx:
        found = await accounts.authenticate_token(tx, made.token, "192.0.2.1")
    assert found is not None
    assert found.actor.may(Permission.KEYS_READ)
    assert not found.actor.may(Permission.KEYS_WRITE)
    assert found.actor.credential == made.row.id
    with pytest.raises(Forbidden, match="lacks the scope"):
        found.actor.require(Permission.KEYS_WRITE)
    async with database.transaction(actor=owner) as tx:
        (row,) = await accounts.list_personal_tokens(tx, owner.account_id, owner.id, most=5)
    assert row.last_used_at is not None


async def test_a_token_makes_none_that_could_do_more_or_lives_longer(database: Database, owner: Actor) -> None:
    async with database.transaction(actor=owner) as tx:
        until = tx.now + timedelta(days=1)
        maker = await accounts.create_personal_token(tx, owner, "maker", until, ["self:write", "keys:read"])
        scoped = replace(owner, scopes=frozenset(maker.row.scopes or ()), credential=maker.row.id)
        assert await accounts.create_personal_token(tx, scoped, "less", until, ["keys:read"])
        for scopes, expires_at, field in (
            (None, until, "scopes"),
            (["keys:write"], until, "scopes"),
            (["keys:read"], None, "expiresAt"),
            (["keys:read"], until + timedelta(seconds=1), "expiresAt"),
        ):
            with pytest.raises(Forbidden) as refused:
                await accounts.create_personal_token(tx, scoped, "more", expires_at, scopes)
            assert refused.value.path == (field,)
        with pytest.raises(Forbidden):
            await accounts.create_personal_token(tx, replace(scoped, scopes=frozenset({"keys:read"})), "x", until, [])


async def test_a_token_needs_a_future_a_name_and_known_scopes(database: Database, owner: Actor) -> None:
    async with database.transaction(actor=owner) as tx:
        for arguments, field in (
            (("x", tx.now), "expiresAt"),
            ((" ", None), "name"),
            (("x", None, ["keys:fly"]), "scopes"),
            (("x", None, []), "scopes"),
        ):
            with pytest.raises(Invalid) as refused:
                await accounts.create_personal_token(tx, owner, *arguments)
            assert refused.value.path == (field,)
        with pytest.raises(Unauthenticated):
            await accounts.create_personal_token(tx, ANONYMOUS, "x")
        with pytest.raises(Forbidden):
            await accounts.create_personal_token(tx, SYSTEM, "x")


async def test_revoking_a_token_is_for_its_person(database: Database, owner: Actor, stranger: Actor) -> None:
    async with database.transaction(actor=owner) as tx:
        made = await accounts.create_personal_token(tx, owner, "script")
    for other in (stranger, replace(stranger, account_id=owner.account_id)):
        async with database.transaction(actor=other) as tx:
            with pytest.raises(NotFound):
                await accounts.revoke_personal_token(tx, other, made.row.id)
    async with database.transaction(actor=owner) as tx:
        first = await accounts.revoke_personal_token(tx, owner, made.row.id)
        assert await accounts.revoke_personal_token(tx, owner, made.row.id) is first
    async with database.transaction() as tx:
        assert await accounts.authenticate_token(tx, made.token, None) is None
    assert (await actions(database, owner.account_id))[:2] == ["personal_token.revoke", "personal_token.create"]


async def test_ending_sessions(database: Database, owner: Actor, stranger: Actor) -> None:
    here, there, third = [await signed_in(database, owner) for _ in range(3)]
    theirs = await signed_in(database, stranger)
    async with database.transaction(actor=here) as tx:
        assert await accounts.count_sessions(tx, owner.id) == 3
        with pytest.raises(NotFound):
            await accounts.revoke_session(tx, here, theirs.credential or "")
        await accounts.revoke_session(tx, here, there.credential or "")
        with pytest.raises(NotFound):
            await accounts.revoke_session(tx, here, there.credential or "")
        assert await accounts.revoke_other_sessions(tx, here) == 1
        (left,) = await accounts.list_sessions(tx, owner.id, most=10)
        assert left.id == here.credential != third.credential
        with pytest.raises(Unauthenticated):
            await accounts.revoke_other_sessions(tx, ANONYMOUS)
    async with database.transaction(actor=theirs) as tx:
        assert await accounts.count_sessions(tx, stranger.id) == 1
    assert (await actions(database, owner.account_id))[:2] == ["session.revoke_other", "session.revoke"]


async def test_switching_moves_the_session_and_both_logs_record_it(
    database: Database, owner: Actor, stranger: Actor
) -> None:
    here = await signed_in(database, owner)
    async with database.transaction(actor=here) as tx:
        with pytest.raises(NotFound):
            await accounts.switch_account(tx, here, stranger.account_id)
    await join(database, owner, stranger, Role.DEVELOPER)
    async with database.transaction(actor=here) as tx:
        account, membership = await accounts.switch_account(tx, here, stranger.account_id)
        assert (account.id, membership.role) == (stranger.account_id, "developer")
        names = [row.role for row, _ in await accounts.list_own_memberships(tx, owner.id)]
    assert names == ["owner", "developer"]
    for account_id, other in ((owner.account_id, stranger.account_id), (stranger.account_id, owner.account_id)):
        async with database.transaction() as tx:
            (row, *_) = await audit.list_newest(tx, account_id, audit.AuditFilter(action="account"), most=1)
            assert row.action == "account.switch"
            assert other not in str(row.details)
            assert await audit.verify_chain(tx, account_id) is None


async def test_a_token_does_not_switch(database: Database, owner: Actor, stranger: Actor) -> None:
    await join(database, owner, stranger, Role.VIEWER)
    async with database.transaction(actor=owner) as tx:
        with pytest.raises(Conflict):
            await accounts.switch_account(tx, owner, stranger.account_id)


async def test_the_second_wall_lets_a_session_into_no_foreign_account(
    database: Database, owner: Actor, stranger: Actor
) -> None:
    here = await signed_in(database, owner)
    move = text("UPDATE sessions SET account_id = :account WHERE id = :id")
    with pytest.raises(DBAPIError, match="row-level security"):
        async with database.transaction(actor=here) as tx:
            await tx.execute(move, {"account": stranger.account_id, "id": here.credential})
    async with database.transaction(actor=here) as tx:
        assert await tx.list(text("SELECT id FROM accounts")) == [owner.account_id]
        assert await tx.list(text("SELECT DISTINCT person_id FROM sessions")) == [owner.id]


async def test_the_second_wall_shows_service_tokens_to_staff_alone(database: Database, owner: Actor) -> None:
    staff = replace(owner, is_staff=True)
    async with database.transaction(actor=staff) as tx:
        made = await accounts.create_service_token(tx, staff, "edge")
        assert await accounts.find_service_token_by_id(tx, made.row.id) is not None
    async with database.transaction(actor=owner) as tx:
        assert await accounts.list_service_tokens(tx, most=10) == []
        with pytest.raises(Forbidden):
            await accounts.revoke_service_token(tx, owner, made.row.id)
    async with database.transaction(actor=staff) as tx:
        assert (await accounts.revoke_service_token(tx, staff, made.row.id)).revoked_at is not None
        with pytest.raises(NotFound):
            await accounts.revoke_service_token(tx, staff, "svc_none")
    async with database.transaction() as tx:
        assert await accounts.authenticate_service(tx, made.token) is None


async def test_what_has_ended_is_deleted_and_nothing_else(database: Database, owner: Actor) -> None:
    ended, living = await signed_in(database, owner), await signed_in(database, owner)
    async with database.transaction() as tx:
        old = await accounts.create_personal_token(tx, owner, "old", tx.now + timedelta(hours=1))
        kept = await accounts.create_personal_token(tx, owner, "kept", tx.now + timedelta(hours=1))
        await tx.execute(
            text("UPDATE sessions SET expires_at = now() - interval '1 s' WHERE id = :id"), {"id": ended.credential}
        )
        month_ago = text("UPDATE personal_tokens SET expires_at = now() - interval '31 days' WHERE id = :id")
        await tx.execute(month_ago, {"id": old.row.id})
        yesterday = text("UPDATE personal_tokens SET expires_at = now() - interval '1 day' WHERE id = :id")
        await tx.execute(yesterday, {"id": kept.row.id})
    async with database.transaction() as tx:
        sessions, tokens = await accounts.purge_expired(tx)
    assert min(sessions, tokens) >= 1
    async with database.transaction(actor=living) as tx:
        assert [row.id for row in await accounts.list_sessions(tx, owner.id, most=9)] == [living.credential]
        left = await accounts.list_personal_tokens(tx, owner.account_id, owner.id, most=9)
    assert [row.id for row in left] == [kept.row.id]


@pytest.mark.parametrize(
    ("user_agent", "name"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox on Linux"),
        ("Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/141.0 Safari/537.36 Edg/141.0", "Edge on Windows"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Safari/604.1", "Safari on iOS"),
        ("Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 Chrome/141.0 Mobile Safari/537.36", "Chrome on Android"),
        ("curl/8.9.1", "curl"),
        (None, "Unknown device"),
        ("x_06C603A2XHD3W38N9PEMHSXGF9", "Unknown device"),
    ],
)
def test_devices_have_the_names_that_people_use(user_agent: str | None, name: str) -> None:
    assert device_name(user_agent) == name


def test_scopes_are_sorted_and_said_once() -> None:
    assert check_scopes(["usage:read", "keys:read", "keys:read"]) == ["keys:read", "usage:read"]
    assert check_scopes(None) is None


async def test_the_second_wall_hides_a_colleagues_tokens_and_sessions(database: Database, owner: Actor) -> None:
    here = await signed_in(database, owner)
    async with database.transaction() as tx:
        member = accounts.NewMember(f"{new_id('m').lower()}@example.com", "Ben", Role.ADMIN)
        person = await accounts.add_member(tx, owner, member)
        await accounts.create_personal_token(tx, owner, "mine")
    colleague = Actor("person", person.id, owner.account_id, role=Role.ADMIN)
    for actor, count in ((here, 1), (colleague, 0)):
        async with database.transaction(actor=actor) as tx:
            for table in ("sessions", "personal_tokens"):
                assert await tx.find(text(f"SELECT count(*) FROM {table}")) == count


async def test_looking_again_by_itself_keeps_no_session_alive(database: Database, owner: Actor) -> None:
    async with database.transaction() as tx:
        person = await accounts.find_person(tx, owner.id)
        assert person is not None
        opened = await open_session(tx, person, Credentials(person.email, ""))
    for is_use, is_moved in ((False, False), (True, True)):
        async with database.transaction() as tx:
            await tx.execute(
                text("UPDATE sessions SET seen_at = now() - interval '20 minutes' WHERE id = :id"),
                {"id": opened.session.id},
            )
        async with database.transaction() as tx:
            assert await accounts.authenticate_session(tx, opened.token, None, is_use=is_use)
        recent = text("SELECT seen_at > now() - interval '5 minutes' FROM sessions WHERE id = :id")
        async with database.transaction() as tx:
            assert await tx.find(recent, {"id": opened.session.id}) is is_moved
