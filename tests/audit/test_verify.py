"""The chain notices whatever is done to its rows."""

import pytest
from sqlalchemy import text

from portal import audit
from portal.core.actor import Actor
from portal.core.database import Database

ACT = audit.Action("test.act", "did something to")


async def write(database: Database, actor: Actor, count: int) -> None:
    async with database.transaction(actor.account_id) as tx:
        for number in range(count):
            await audit.record(tx, actor, ACT, f"subject_{number}", number=number)


async def verify(database: Database, account_id: str) -> audit.Break | None:
    async with database.transaction() as tx:
        return await audit.verify_chain(tx, account_id)


@pytest.mark.fast
async def test_an_untouched_chain_holds(database: Database, owner: Actor) -> None:
    await write(database, owner, 5)
    assert await verify(database, owner.account_id) is None


@pytest.mark.parametrize(
    ("tamper", "row"),
    [
        ("UPDATE audit_events SET action = 'other' WHERE account_id = :account AND sequence = 3", 3),
        ("UPDATE audit_events SET details = '{\"number\": 9}' WHERE account_id = :account AND sequence = 4", 4),
        ("UPDATE audit_events SET occurred_at = now() WHERE account_id = :account AND sequence = 2", 2),
        ("DELETE FROM audit_events WHERE account_id = :account AND sequence = 1", 1),
        ("DELETE FROM audit_events WHERE account_id = :account AND sequence = 4", 4),
        ("UPDATE audit_events SET hash = '\\x00' WHERE account_id = :account AND sequence = 5", 5),
    ],
)
async def test_tampering_is_found_at_its_row(database: Database, owner: Actor, tamper: str, row: int) -> None:
    await write(database, owner, 5)
    async with database.owner_transaction() as tx:
        await tx.execute(text(tamper), {"account": owner.account_id})
    found = await verify(database, owner.account_id)
    assert found is not None
    assert found.sequence == row


async def test_reordering_is_found(database: Database, owner: Actor) -> None:
    await write(database, owner, 5)
    async with database.owner_transaction() as tx:
        for old, new in ((3, 100), (4, 3), (100, 4)):
            await tx.execute(
                text("UPDATE audit_events SET sequence = :new WHERE account_id = :account AND sequence = :old"),
                {"account": owner.account_id, "old": old, "new": new},
            )
    found = await verify(database, owner.account_id)
    assert found is not None
    assert found.sequence == 3


async def test_the_application_can_neither_change_nor_delete_rows(database: Database, owner: Actor) -> None:
    await write(database, owner, 1)
    for statement in ("UPDATE audit_events SET action = 'x'", "DELETE FROM audit_events"):
        with pytest.raises(Exception, match="permission denied"):
            async with database.transaction(owner.account_id) as tx:
                await tx.execute(text(statement))
