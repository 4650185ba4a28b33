"""The chain notices whatever is done to its rows."""

import pytest
from sqlalchemy import text

from portal import audit
from portal.core.actor import Actor
from portal.core.database import Database
from portal.core.embedded import EmbeddedServices
from portal.core.ids import AccountId
from tests.usage.databases import own_database

ACT = audit.Action("test.act", "did something to")


async def write(database: Database, actor: Actor, count: int) -> None:
    async with database.transaction(actor.account_id) as tx:
        for number in range(count):
            await audit.record(tx, actor, ACT, f"subject_{number}", number=number)


async def verify(database: Database, account_id: str) -> audit.Break | None:
    """By itself and among all chains, which must tell the same."""
    async with database.transaction() as tx:
        alone = await audit.verify_chain(tx, account_id)
    verifier = await verify_all(database, 173)
    assert [broken for broken in verifier.breaks if broken.account_id == account_id] == ([alone] if alone else [])
    return alone


async def verify_all(database: Database, portion: int) -> audit.ChainVerifier:
    verifier = audit.ChainVerifier()
    while True:
        async with database.snapshot() as tx:
            if await verifier.verify_next(tx, portion) < portion:
                return verifier


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


async def test_all_chains_are_verified_in_portions_of_any_size(services: EmbeddedServices) -> None:
    async with own_database(services) as own:
        actors = [Actor("system", "x", AccountId(f"acct_{number}"), role=None) for number in range(4)]
        for count, actor in enumerate(actors, start=1):
            await write(own, actor, count)
        async with own.owner_transaction() as tx:
            for account_id, sequence in (("acct_1", 2), ("acct_3", 1), ("acct_3", 3)):
                broken = "DELETE FROM audit_events WHERE account_id = :account AND sequence = :sequence"
                await tx.execute(text(broken), {"account": account_id, "sequence": sequence})
            await tx.execute(text("UPDATE audit_events SET subject = 'x' WHERE account_id = 'acct_2' AND sequence = 2"))
        for portion in (1, 2, 3, 5, 100):
            verifier = await verify_all(own, portion)
            assert verifier.chains == 4
            assert [(broken.account_id, broken.sequence) for broken in verifier.breaks] == [
                ("acct_2", 2),
                ("acct_3", 1),
            ]
