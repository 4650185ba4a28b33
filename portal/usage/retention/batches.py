"""Delete what may be much, so that no transaction is long."""

from collections.abc import Awaitable, Callable

from portal.core.database import Database, Tx


async def delete_in_batches(database: Database, most: int, delete: Callable[[Tx], Awaitable[int]]) -> int:
    """Each in a transaction of its own, until one deletes fewer than `most`. Returns how many in all."""
    deleted = 0
    while True:
        async with database.transaction() as tx:
            count = await delete(tx)
        deleted += count
        if count < most:
            return deleted
