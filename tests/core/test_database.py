"""What the database layer promises whoever uses it."""

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, NoResultFound

from portal.core.database import Database
from portal.core.errors import Invalid, Unavailable
from portal.core.outages.database_errors import is_dependency_unavailable, is_server_unavailable


@pytest.mark.fast
async def test_the_error_of_a_statement_does_not_reveal_its_values(database: Database) -> None:
    with pytest.raises(DBAPIError) as caught:
        async with database.transaction() as tx:
            await tx.execute(text("SELECT 1 / :none WHERE :told <> ''"), {"none": 0, "told": "ann@example.com"})
    assert "ann@example.com" not in str(caught.value)


@pytest.mark.parametrize(
    ("statement", "is_away"),
    [
        ("SELECT 1 / 0", False),
        ("SELECT repeat('a', 300)::varchar(5)::int", False),
        ("INSERT INTO people (id) VALUES ('somebody')", False),
        ("SELECT * FROM not_migrated_yet", True),
        ("DO $$ BEGIN RAISE SQLSTATE '40P01'; END $$", True),
        ("DO $$ BEGIN RAISE SQLSTATE '57P03'; END $$", True),
        ("DO $$ BEGIN RAISE SQLSTATE '53100'; END $$", True),
    ],
)
async def test_only_a_refusal_of_the_data_will_not_pass_by_itself(
    database: Database, statement: str, is_away: bool
) -> None:
    with pytest.raises(DBAPIError) as caught:
        async with database.transaction() as tx:
            await tx.execute(text(statement))
    assert is_dependency_unavailable(caught.value) is is_away


@pytest.mark.parametrize(
    ("sqlstate", "is_server", "is_later"),
    [
        *((state, True, True) for state in ("08006", "25006", "28000", "28P01", "3D000", "53300", "53100", "57P01")),
        *((state, True, True) for state in ("57P03", "58030", "F0000", "XX000")),
        *((state, False, True) for state in ("0A000", "25P02", "40001", "40P01", "42501", "42P01", "42703", "55P03")),
        *((state, False, True) for state in ("57014", "55006", "34000")),
        *((state, False, False) for state in ("22P02", "22021", "23505", "23514", "44000", "54000", "P0001")),
    ],
)
async def test_a_mood_of_the_server_is_told_from_a_statement_s_and_from_a_refusal(
    database: Database, sqlstate: str, is_server: bool, is_later: bool
) -> None:
    with pytest.raises((DBAPIError, Invalid)) as caught:
        async with database.transaction() as tx:
            await tx.execute(text(f"DO $$ BEGIN RAISE SQLSTATE '{sqlstate}'; END $$"))
    assert is_server_unavailable(caught.value) is is_server
    assert is_dependency_unavailable(caught.value) is is_later


def test_other_errors_are_recognised_by_their_type() -> None:
    assert is_dependency_unavailable(Unavailable("Redis did not answer."))
    assert is_dependency_unavailable(ConnectionRefusedError())
    assert not is_dependency_unavailable(TypeError("a mistake of ours"))
    assert not is_dependency_unavailable(Invalid("That is none."))


async def test_plain_sql_gives_values_of_the_type_that_was_named_for_it(database: Database) -> None:
    async with database.transaction() as tx:
        assert await tx.find(text("SELECT 1"), returns=int) == 1
        assert await tx.find(text("SELECT 1 WHERE false"), returns=int) is None
        assert await tx.get(text("SELECT 'a'"), returns=str) == "a"
        assert await tx.list(text("VALUES (1), (2)"), returns=int) == [1, 2]
        with pytest.raises(NoResultFound):
            await tx.get(text("SELECT 1 WHERE false"), returns=int)


@pytest.mark.parametrize("verb", ["find", "get", "list"])
async def test_a_value_of_another_type_than_was_named_is_an_error(database: Database, verb: str) -> None:
    async with database.transaction() as tx:
        with pytest.raises(TypeError, match="returns Decimal, not int"):
            await getattr(tx, verb)(text("SELECT 1::numeric"), returns=int)
