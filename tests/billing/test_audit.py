"""The audit finds an invoice that says something else than what was counted, or than its own inputs."""

import pytest
from sqlalchemy import text

from portal.billing import audit_invoices, audit_numbers
from portal.core.database import Database
from tests.billing.account import choose, differences, finalize_all, finalize_next, month, name, new_account, use
from tests.billing.test_finalize import DAY, HOUR


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


THIS = "WHERE account_id = :account AND period = :period"
USED, LATE = f"{THIS} AND kind = 'usage'", f"{THIS} AND kind = 'adjustment'"
AGAIN = ("lines as billed again", 3, 2)
HEAD = ("figures of its head", 7, 6)


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        (
            f"UPDATE invoice_lines SET units = units - 1 {USED}",
            [("units", 1_200_003, 1_200_002), AGAIN],
        ),
        (f"UPDATE usage_periods SET billed = billed + 5 {THIS}", [("units", 1_200_008, 1_200_003)]),
        (
            f"UPDATE invoice_lines SET units = units + 1 {THIS} AND kind = 'adjustment'",
            [("units", 1_200_003, 1_200_004)],
        ),
        (f"UPDATE invoice_lines SET amount = amount + 0.0005 {USED}", [AGAIN]),
        (f"UPDATE invoice_lines SET first_day = first_day + 1 {THIS} AND kind = 'fee'", [AGAIN]),
        (f"UPDATE invoice_lines SET price = 0 {THIS} AND kind = 'fee'", [AGAIN]),
        (f"UPDATE invoices SET total = total + 0.0005 {THIS}", [HEAD]),
        (f"UPDATE invoices SET subtotal = 0 {THIS}", [HEAD]),
        (f"UPDATE invoices SET currency = 'USD' {THIS}", [HEAD]),
        (f"UPDATE invoices SET period_start = period_start - interval '1 day' {THIS}", [HEAD]),
        (
            f"UPDATE invoices SET inputs = jsonb_set(inputs, '{{usage,0,units}}', '1300000') {THIS}",
            [("inputs as they were", 1, 0), AGAIN, ("figures of its head", 7, 5)],
        ),
        (f"UPDATE invoices SET inputs = '{{}}' {THIS}", [("inputs that can be billed", 1, 0)]),
        (
            f"UPDATE invoices SET inputs = jsonb_set(inputs, '{{usage,0,days}}', '99') {THIS}",
            [("inputs that can be billed", 1, 0)],
        ),
        (
            f"UPDATE invoices SET inputs = jsonb_set(inputs, '{{usage,0,tariff,charges}}', '[0.5]') {THIS}",
            [("inputs that can be billed", 1, 0)],
        ),
        (f"UPDATE usage_periods SET closed_at = NULL {THIS}", [("closed periods", 1, 0)]),
        (f"DELETE FROM usage_periods {THIS}", [("closed periods", 1, 0)]),
    ],
)
async def test_what_is_off_is_found(
    own: Database, billed: str, statement: str, found: list[tuple[str, int, int]]
) -> None:
    await change(own, statement, billed)
    assert await differences(own, billed, 2) == found


async def test_a_set_of_accounts_says_of_each_what_it_says_alone(own: Database) -> None:
    accounts = [await new_account(own, opened=month(2)) for _ in range(5)]
    for account_id in accounts:
        await choose(own, account_id, "pro", month(2) + HOUR)
        await use(own, account_id, month(2) + DAY, 2, cost=600_000)
        await finalize_next(own, account_id)
        await use(own, account_id, month(2) + 2 * DAY, 3)
        await finalize_next(own, account_id)
    for account_id, statement in zip(
        accounts,
        (
            f"UPDATE invoice_lines SET units = units - 1 {USED}",
            f"UPDATE usage_periods SET billed = billed + 5 {THIS}",
            f"UPDATE invoices SET subtotal = 0 {THIS}",
            f"DELETE FROM usage_periods {THIS}",
        ),
        strict=False,
    ):
        await change(own, statement, account_id)
    for period in (name(2), name(1)):
        async with own.snapshot() as tx:
            together = await audit_invoices(tx, accounts, period)
            alone = [one for account_id in accounts for one in await audit_invoices(tx, [account_id], period)]
            assert await audit_invoices(tx, [], period) == []
        assert together == alone
        assert {one.account_id for one in alone} == ({*accounts[:4]} if period == name(2) else set())


async def test_a_line_too_many_and_an_invoice_that_is_gone_are_found(own: Database, billed: str) -> None:
    rest = "kind, code, description, period, units, amount, parts, plan_id"
    await change(
        own,
        f"INSERT INTO invoice_lines (account_id, invoice_id, position, {rest})"
        f" SELECT account_id, invoice_id, position + 10, {rest} FROM invoice_lines"
        " WHERE account_id = :account AND kind = 'usage' AND period = :period",
        billed,
    )
    assert await differences(own, billed, 2) == [("lines as billed again", 3, 4)]
    await change(own, "DELETE FROM invoice_lines WHERE account_id = :account AND kind = 'usage'", billed)
    assert ("units", 1_200_003, 3) in await differences(own, billed, 2)


async def test_an_invoice_of_a_month_that_was_never_closed_is_found(own: Database, billed: str) -> None:
    await change(own, "UPDATE billing_accounts SET next_period = :period WHERE account_id = :account", billed)
    await change(own, "DELETE FROM usage_periods WHERE account_id = :account AND period = :period", billed)
    assert await differences(own, billed, 2) == [("closed periods", 1, 0)]


async def test_a_number_without_its_invoice_is_found(own: Database) -> None:
    account_id = await new_account(own, opened=month(1))
    await choose(own, account_id, "pro", month(1) + HOUR)
    await finalize_all(own, account_id)
    async with own.snapshot() as tx:
        assert await audit_numbers(tx) == []
    for table in ("invoice_lines", "invoices"):
        await change(own, f"DELETE FROM {table} WHERE account_id = :account", account_id)
    async with own.snapshot() as tx:
        (found,) = await audit_numbers(tx)
    assert (found.measure, found.expected - found.found) == ("invoices", 1)
