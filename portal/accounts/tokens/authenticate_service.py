"""Which gateway calls: a service token becomes its row."""

from portal.accounts.models import ServiceToken
from portal.accounts.rules import token_digest
from portal.accounts.tokens import store as token_store
from portal.core.database import Tx


async def authenticate_service(tx: Tx, token: str) -> ServiceToken | None:
    """Return the service token's row, or None if it is unknown or revoked."""
    row = await token_store.find_service_token(tx, token_digest(token))
    return None if row is None or row.revoked_at is not None else row
