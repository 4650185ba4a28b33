"""The second wall: as `portal_app` no statement reaches another account, whatever it says."""

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from portal import keys
from portal.core.actor import Actor
from portal.core.database import Database

TABLES = """
SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
    AND has_any_column_privilege('portal_app', oid, 'SELECT') AND NOT (relrowsecurity AND relforcerowsecurity)
"""
PARTITIONS = """
SELECT relname FROM pg_class WHERE relispartition AND relkind = 'r'
    AND (has_any_column_privilege('portal_app', oid, 'SELECT') OR has_table_privilege('portal_app', oid, 'DELETE'))
"""


async def test_an_account_may_only_read_tables_with_a_wall(database: Database) -> None:
    async with database.transaction() as tx:
        assert await tx.list(text(TABLES)) == []
        assert await tx.list(text(PARTITIONS)) == []


async def test_an_account_sees_its_own_people_and_nobody_elses(
    database: Database, owner: Actor, stranger: Actor
) -> None:
    async with database.transaction(owner.account_id) as tx:
        assert await tx.list(text("SELECT id FROM people")) == [owner.id]
        assert await tx.list(text("SELECT DISTINCT account_id FROM memberships")) == [owner.account_id]
        assert await tx.list(text("SELECT id FROM accounts")) == [owner.account_id]
    with pytest.raises(DBAPIError, match="permission denied"):
        async with database.transaction(owner.account_id) as tx:
            await tx.list(text("SELECT password_hash FROM people"))
    assert stranger.account_id != owner.account_id


async def test_an_account_cannot_write_into_another(database: Database, owner: Actor, stranger: Actor) -> None:
    async with database.transaction(stranger.account_id) as tx:
        made = await keys.create_key(tx, stranger, keys.NewKey("theirs"))
    async with database.transaction(owner.account_id) as tx:
        changed = await tx.execute(
            text("UPDATE keys SET name = 'mine' WHERE id = :id RETURNING id"), {"id": made.key.id}
        )
        assert changed.all() == []
    insert = text("INSERT INTO secret_uses VALUES (:account, 'sec_1', 'key_1', now())")
    with pytest.raises(DBAPIError, match="row-level security"):
        async with database.transaction(owner.account_id) as tx:
            await tx.execute(insert, {"account": stranger.account_id})
