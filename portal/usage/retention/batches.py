"""Delete what may be much, so that no transaction is long."""

from collections.abc import Awaitable, Callable

from portal.core.database import Database, Tx


async def delete_in_batches(database: Database, batch_size: int, delete: Callable[[Tx], Awaitable[int]]) -> int:
    """Call `delete` in transactions of its own until it deletes fewer than `batch_size`. Returns how many in all."""
    deleted = 0
    while True:
        async with database.transaction() as tx:
            count = await delete(tx)
        deleted += count
        if count < batch_size:
            return deleted
