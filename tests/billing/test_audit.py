"""The audit finds an invoice that says something else than what was counted, or than its own inputs."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text

from portal import plans
from portal.core.database import Database
from portal.core.embedded import EmbeddedServices
from portal.usage import ensure_partitions
from tests.billing.account import NOW, choose, differences, finalize_all, finalize_next, month, name, new_account, use
from tests.billing.test_finalize import DAY, HOUR
from tests.usage.databases import own_database


@pytest.fixture(scope="module")
async def own(services: EmbeddedServices) -> AsyncIterator[Database]:
    async with own_database(services) as database:
        await ensure_partitions(database, NOW)
        async with database.transaction() as tx:
            await plans.ensure_catalogue(tx)
        yield database


@pytest.fixture
async def billed(own: Database) -> str:
    """On Pro, with usage in the last two months, both billed, some of the first one's late."""
    account_id = await new_account(own, opened=month(2))
    await choose(own, account_id, "pro", month(2) + HOUR)
    await use(own, account_id, month(2) + DAY, 2, cost=600_000)
    await finalize_next(own, account_id)
    await use(own, account_id, month(2) + 2 * DAY, 3)
    await use(own, account_id, month(1) + DAY, 4)
    await finalize_all(own, account_id)
    return account_id


async def change(database: Database, statement: str, account_id: str) -> None:
    """As the owner of the tables: nobody else could."""
    async with database.owner_transaction() as tx:
        await tx.execute(text(statement.replace(":period", f"'{name(2)}'")), {"account": account_id})


async def test_what_agrees_agrees(own: Database, billed: str) -> None:
    assert [await differences(own, billed, back) for back in (3, 2, 1, 0)] == [[], [], [], []]


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        (
            "UPDATE invoice_lines SET units = units - 1"
            " WHERE account_id = :account AND kind = 'usage' AND period = :period",
            [("units", 1_200_000, 1_199_999), ("lines as rated again", 3, 2)],
        ),
        (
            "UPDATE usage_periods SET used = used + 5 WHERE account_id = :account AND period = :period",
            [("units", 1_200_005, 1_200_000)],
        ),
        (
            "UPDATE usage_periods SET late = late + 5, used = used + 5"
            " WHERE account_id = :account AND period = :period",
            [("late units", 8, 3)],
        ),
        (
            "UPDATE invoice_lines SET amount = amount + 0.01"
            " WHERE account_id = :account AND kind = 'usage' AND period = :period",
            [("lines as rated again", 3, 2)],
        ),
        (
            "UPDATE invoices SET total = total + 0.01 WHERE account_id = :account AND period = :period",
            [("thousandths in total", 110_000, 110_010)],
        ),
        (
            "UPDATE invoices SET inputs = jsonb_set(inputs, '{usage,units}', '1300000')"
            " WHERE account_id = :account AND period = :period",
            [
                ("inputs as they were", 1, 0),
                ("lines as rated again", 3, 2),
                ("thousandths in total", 116_000, 110_000),
            ],
        ),
        (
            "UPDATE usage_periods SET closed_at = NULL WHERE account_id = :account AND period = :period",
            [("closed periods", 1, 0)],
        ),
        (
            "DELETE FROM usage_periods WHERE account_id = :account AND period = :period",
            [("closed periods", 1, 0)],
        ),
    ],
)
async def test_what_is_off_is_found(
    own: Database, billed: str, statement: str, found: list[tuple[str, int, int]]
) -> None:
    await change(own, statement, billed)
    assert await differences(own, billed, 2) == found


async def test_a_line_too_many_and_an_invoice_that_is_gone_are_found(own: Database, billed: str) -> None:
    rest = "kind, code, description, period, units, amount, parts"
    await change(
        own,
        f"INSERT INTO invoice_lines (account_id, invoice_id, position, {rest})"
        f" SELECT account_id, invoice_id, position + 10, {rest} FROM invoice_lines"
        " WHERE account_id = :account AND kind = 'usage' AND period = :period",
        billed,
    )
    assert await differences(own, billed, 2) == [("lines as rated again", 3, 4)]
    await change(own, "DELETE FROM invoice_lines WHERE account_id = :account AND kind = 'usage'", billed)
    assert ("units", 1_200_000, 0) in await differences(own, billed, 2)


async def test_an_invoice_of_a_month_that_was_never_closed_is_found(own: Database, billed: str) -> None:
    await change(own, "UPDATE billing_accounts SET next_period = :period WHERE account_id = :account", billed)
    await change(own, "DELETE FROM usage_periods WHERE account_id = :account AND period = :period", billed)
    assert await differences(own, billed, 2) == [("closed periods", 1, 0)]
