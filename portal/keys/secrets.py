"""Draw a secret and store its digest."""

import secrets

from portal.core.database import Tx
from portal.core.ids import new_id
from portal.keys.models import Key, KeySecret
from portal.keys.rules import BASE62, RANDOM_LENGTH, assemble_secret, display_secret, secret_digest


async def add_secret(tx: Tx, key: Key, prefix: str) -> tuple[KeySecret, str]:
    """Add a secret to the key; return its row and the text that is shown once."""
    random_part = "".join(secrets.choice(BASE62) for _ in range(RANDOM_LENGTH))
    text = assemble_secret(prefix, key.environment, random_part)
    row = await tx.insert(
        KeySecret(
            id=new_id("sec"),
            key_id=key.id,
            account_id=key.account_id,
            digest=secret_digest(text),
            display=display_secret(text),
            created_at=tx.now,
        )
    )
    return row, text
