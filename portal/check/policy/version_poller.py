"""Without Redis nobody refuses an old policy, so PostgreSQL is asked which accounts have a newer one.

Once a second, in one statement for all accounts that were answered meanwhile: a key that is revoked during an outage
of Redis is refused a second or two later. With PostgreSQL away as well, what is in memory stays in force.
"""

import asyncio
from contextlib import suppress

from portal.accounts import list_policy_versions
from portal.check.policy.cache import PolicyCache
from portal.core.database import Database

EVERY_SECONDS = 1.0
TIMEOUT_SECONDS = 5.0
MAX_ACCOUNTS = 10_000


class VersionPoller:
    """One a process."""

    def __init__(self, database: Database, policies: PolicyCache) -> None:
        self._database = database
        self._policies = policies
        self._answered: set[str] = set()
        self._task: asyncio.Task[None] | None = None

    def answered_without_redis(self, account_id: str) -> None:
        """In nobody's way: the look-up is a task of its own."""
        if len(self._answered) < MAX_ACCOUNTS:
            self._answered.add(account_id)
        if self._task is None:
            self._task = asyncio.create_task(self._look_up())

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _look_up(self) -> None:
        try:
            while self._answered:
                account_ids, self._answered = self._answered, set()
                with suppress(Exception):
                    async with asyncio.timeout(TIMEOUT_SECONDS), self._database.transaction() as tx:
                        for account_id, version in await list_policy_versions(tx, account_ids):
                            self._policies.raise_version(account_id, version)
                await asyncio.sleep(EVERY_SECONDS)
        finally:
            self._task = None
