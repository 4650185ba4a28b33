"""A form that makes a secret acts once, and what it made waits for its own session only.

    POST ── take_form ── the mutation ── keep_secret ── 303 ──> GET /reveals/{id} ── find_secret ──> shown
            one transaction: both or neither                    "I have stored it" ── forget_secret

A form's id is derived from the session's cookie and the number that the form carries, so a second sending, in another
tab or process, by reload or by Back, meets the row of the first: it waits for the first at the primary key and is then
led to what the first one made. The row stays until the session ends, longer than any answer to an Idempotency-Key.
The secret is sealed with AES-256-GCM and a key derived from the cookie, of which the database holds a digest only: it
can be read by this session alone, for ten minutes, until it is acknowledged or the session ends (the row goes with it).
"""

import json
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from secrets import token_bytes
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy.exc import DBAPIError

from portal.accounts.sessions import store as session_store
from portal.core.actor import Actor
from portal.core.database import Tx
from portal.core.errors import Conflict, Unauthenticated

MAX_REVEAL_AGE = timedelta(minutes=10)
NONCE_BYTES = 12
STOPPED = "57014"
NO_PARENT = "23503"
"""How PostgreSQL says that a statement took too long, and that the session has ended meanwhile."""


class FormAlreadySent(Conflict):
    """This form has acted already; nothing was done this time."""


@dataclass(frozen=True, slots=True)
class FormSeal:
    """One form of one session: what its row is called, and the key to its secret, which is stored nowhere."""

    id: str
    key: bytes


def seal_of(session_token: str, number: str) -> FormSeal:
    """Return the seal of a form. `number` is what the form carries, drawn anew whenever it is shown."""
    name = sha256(f"form\n{session_token}\n{number}".encode()).hexdigest()[:40]
    return open_seal(session_token, name)


def open_seal(session_token: str, form_id: str) -> FormSeal:
    """Return the seal of a form whose id is known, from an address."""
    return FormSeal(form_id, sha256(f"secret\n{session_token}\n{form_id}".encode()).digest())


async def take_form(tx: Tx, actor: Actor, seal: FormSeal) -> None:
    """Let this form act, in this transaction. A second sending waits for the first.

    Raises FormAlreadySent, Conflict while the first still runs, and Unauthenticated for a session that has just ended.
    """
    try:
        is_first = await session_store.insert_sent_form(tx, seal.id, actor.credential or "", actor.account_id)
    except DBAPIError as error:
        state = getattr(error.orig, "sqlstate", None)
        if state == STOPPED:
            raise Conflict("This form is still being processed.", hint="Wait a moment and send it again.") from error
        if state == NO_PARENT:
            raise Unauthenticated("The session has ended.", hint="Sign in again.") from error
        raise
    if not is_first:
        raise FormAlreadySent("This form was sent before. Nothing was made this time.")


async def release_form(tx: Tx, seal: FormSeal) -> None:
    """Let the form be sent again, corrected: its mutation was refused and changed nothing."""
    await session_store.delete_sent_form(tx, seal.id)


async def keep_secret(tx: Tx, seal: FormSeal, made: dict[str, Any]) -> None:
    """Keep what the form made until it is acknowledged, sealed."""
    nonce = token_bytes(NONCE_BYTES)
    sealed = nonce + AESGCM(seal.key).encrypt(nonce, json.dumps(made).encode(), seal.id.encode())
    await session_store.update_sealed(tx, seal.id, sealed)


async def find_secret(tx: Tx, actor: Actor, seal: FormSeal) -> tuple[dict[str, Any], timedelta] | None:
    """Return what the form made and how long it still waits; None once it is gone, and for every other session."""
    form = await session_store.find_sent_form(tx, seal.id, actor.credential or "")
    if form is None or form.sealed is None or form.account_id != actor.account_id:
        return None
    left = form.created_at + MAX_REVEAL_AGE - tx.now
    if left <= timedelta(0):
        return None
    nonce, sealed = form.sealed[:NONCE_BYTES], form.sealed[NONCE_BYTES:]
    try:
        made: dict[str, Any] = json.loads(AESGCM(seal.key).decrypt(nonce, sealed, seal.id.encode()))
    except InvalidTag:
        return None
    return made, left


async def forget_secret(tx: Tx, actor: Actor, seal: FormSeal) -> None:
    """Erase what the form made: its person has stored it. Idempotent; the form stays sent."""
    await session_store.erase_sealed(tx, seal.id, actor.credential or "")


async def purge_secrets(tx: Tx) -> int:
    """Erase the secrets that nobody acknowledged in time and return how many."""
    return await session_store.erase_expired_sealed(tx, tx.now - MAX_REVEAL_AGE)
