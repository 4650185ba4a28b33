"""Without Redis nobody refuses an old policy, so PostgreSQL is asked which accounts have a newer one.

Once a second, in one statement for all accounts that were answered meanwhile: a key that is revoked during an outage
of Redis is refused a second or two later. With PostgreSQL away as well, what is in memory stays in force.
"""

import asyncio
from contextlib import suppress

from portal.accounts import list_policy_versions
from portal.check.policy.cache import PolicyCache
from portal.core.database import Database

POLL_SECONDS = 1.0
TIMEOUT_SECONDS = 5.0
MAX_ACCOUNTS = 10_000


class VersionPoller:
    """Polls the versions of the accounts that are answered without Redis; one instance a process."""

    def __init__(self, database: Database, policies: PolicyCache) -> None:
        self._database = database
        self._policies = policies
        self._watched: set[str] = set()
        self._task: asyncio.Task[None] | None = None

    def watch(self, account_id: str) -> None:
        """Have the account's version looked up, in a task of its own: no check waits for it."""
        if len(self._watched) < MAX_ACCOUNTS:
            self._watched.add(account_id)
        if self._task is None:
            self._task = asyncio.create_task(self._look_up())

    async def close(self) -> None:
        """Stop polling."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _look_up(self) -> None:
        try:
            while self._watched:
                account_ids, self._watched = self._watched, set()
                with suppress(Exception):
                    async with asyncio.timeout(TIMEOUT_SECONDS), self._database.transaction() as tx:
                        for account_id, version in await list_policy_versions(tx, account_ids):
                            self._policies.raise_version(account_id, version)
                await asyncio.sleep(POLL_SECONDS)
        finally:
            self._task = None
