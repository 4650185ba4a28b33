"""What the database layer promises whoever uses it."""

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from portal.core.database import Database


async def test_the_error_of_a_statement_does_not_tell_its_values(database: Database) -> None:
    with pytest.raises(DBAPIError) as caught:
        async with database.transaction() as tx:
            await tx.execute(text("SELECT 1 / :none WHERE :told <> ''"), {"none": 0, "told": "ann@example.com"})
    assert "ann@example.com" not in str(caught.value)
