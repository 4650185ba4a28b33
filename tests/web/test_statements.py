"""Each page's document takes a number of SQL statements that has a bound, however much there is to show."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from portal import accounts, keys
from portal.core.actor import Role
from portal.core.database import Database, Tx
from portal.core.ids import new_id
from tests.web.conftest import Browser

BOUNDS = {"/": 34, "/plan": 12, "/activity": 14, "/settings": 12, "/keys": 16}
"""With looking up the session and the limit of time; PostgreSQL's BEGIN and COMMIT are not among them."""


async def furnish(database: Database, browser: Browser, count: int) -> None:
    """So many keys, members and tokens more."""
    actor = browser.actor
    async with database.transaction() as tx:
        now = tx.now
        for number in range(count):
            await keys.create_key(tx, actor, keys.NewKey(f"K{number}"))
            await accounts.add_member(
                tx, actor, accounts.NewMember(f"{new_id('m').lower()}@example.com", "Ben", Role.VIEWER)
            )
            await accounts.create_personal_token(tx, actor, f"T{number}")
        assert tx.now == now


@pytest.mark.parametrize("address", BOUNDS)
async def test_a_page_takes_no_more_statements_for_more_to_show(
    database: Database, ann: Browser, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    await furnish(database, ann, 2)
    counts: list[int] = []
    send = Tx._send

    async def counting(tx: Tx, one: Callable[[], Awaitable[Any]]) -> Any:
        counts[-1] += 1
        return await send(tx, one)  # type: ignore[arg-type]  # as it came

    monkeypatch.setattr(Tx, "_send", counting)
    for more in (0, 8):
        counts.append(0)
        await furnish(database, ann, more)
        counts[-1] = 0
        assert (await ann.get(address)).status_code == 200
    few, many = counts
    assert many <= few + 1, "one more where something was looked up that nobody asked for before"
    assert many <= BOUNDS[address]
