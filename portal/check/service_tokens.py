"""Which gateway calls: service tokens, remembered for a few seconds so that a check needs no look-up."""

from collections import OrderedDict
from hashlib import sha256
from time import monotonic

from portal.accounts import authenticate_service
from portal.core.database import Database, is_connection_lost

REMEMBER_SECONDS = 5.0
WHILE_AWAY_SECONDS = 3600.0
MOST = 10_000


class ServiceTokens:
    """`identify` answers the token's id; a revoked token stops working within REMEMBER_SECONDS."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: OrderedDict[bytes, tuple[str | None, float]] = OrderedDict()

    def known(self, token: str) -> str | None:
        """The id without a look-up, if this process looked lately."""
        known = self._known.get(sha256(token.encode()).digest())
        return known[0] if known is not None and monotonic() - known[1] < REMEMBER_SECONDS else None

    async def identify(self, token: str) -> str | None:
        """The service token's id, or None. While PostgreSQL is away a known token keeps its last answer for an hour."""
        digest = sha256(token.encode()).digest()
        now = monotonic()
        known = self._known.get(digest)
        if known is not None and now - known[1] < REMEMBER_SECONDS:
            return known[0]
        try:
            async with self._database.transaction() as tx:
                row = await authenticate_service(tx, token)
        except Exception as error:
            if known is not None and is_connection_lost(error) and now - known[1] < WHILE_AWAY_SECONDS:
                return known[0]
            raise
        self._known[digest] = (row.id if row else None, now)
        while len(self._known) > MOST:
            self._known.popitem(last=False)
        return row.id if row else None
