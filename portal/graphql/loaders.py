"""What many siblings of one operation need is fetched together: one statement for all of them, and once."""

from collections import defaultdict
from collections.abc import Sequence

from strawberry.dataloader import DataLoader

from portal import keys, usage
from portal.core.database import Tx
from portal.core.ids import AccountId


class Loaders:
    """Live as long as one operation, so nothing is seen by the next caller."""

    def __init__(self, tx: Tx, account_id: AccountId) -> None:
        self._tx = tx
        self._account_id = account_id
        self.secrets = DataLoader[str, list[keys.KeySecret]](self._secrets)
        self.last_used = DataLoader[str, usage.LastUse | None](self._last_used)
        self.key_names = DataLoader[str, str | None](self._key_names)

    async def _secrets(self, key_ids: list[str]) -> Sequence[list[keys.KeySecret]]:
        found: dict[str, list[keys.KeySecret]] = defaultdict(list)
        for secret in await keys.list_secrets(self._tx, self._account_id, key_ids):
            found[secret.key_id].append(secret)
        return [found[key_id] for key_id in key_ids]

    async def _last_used(self, secret_ids: list[str]) -> Sequence[usage.LastUse | None]:
        found = await usage.last_used_by_secret(self._tx, self._account_id, secret_ids)
        return [found.get(secret_id) for secret_id in secret_ids]

    async def _key_names(self, key_ids: list[str]) -> Sequence[str | None]:
        found = await keys.list_names(self._tx, self._account_id, key_ids)
        return [found.get(key_id) for key_id in key_ids]
