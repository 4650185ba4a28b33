"""Idempotency: a mutation that is sent again with the same key runs once and is answered the same, for 10 minutes.

Only what succeeded is kept: a mutation that failed, be it with an error or with a Problem, changed nothing, so running
it again is safe and may end better. Of a document with several mutations the answer is kept when one succeeded.
The slot is acquired and the answer kept in the mutation's own transaction, so neither a crash nor a lost answer makes
it run twice; a concurrent duplicate waits for the first at the primary key. The answer may hold a secret that is shown
once: it is encrypted (AES-256-GCM) with a key derived from the caller's credential and the idempotency key, of which
only digests are stored, so neither the database nor a backup of it can tell the secret.
"""

import json
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from secrets import token_bytes
from typing import Any

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import delete, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import DBAPIError
from sqlmodel import col

from portal.core.database import Tx
from portal.core.errors import Conflict
from portal.core.ids import AccountId
from portal.graphql.engine.models import StoredResponse
from portal.graphql.engine.operation import IdempotencyKey

RETENTION = timedelta(minutes=10)
NONCE_BYTES = 12
STOPPED = "57014"


class RequestInProgress(Conflict):
    """The first request with this key has not ended."""

    code = "IN_PROGRESS"


class IdempotencyMismatch(Conflict):
    """The key was used for another document or other variables, or by the same caller in another role."""

    code = "IDEMPOTENCY_CONFLICT"


@dataclass(frozen=True, slots=True)
class ResponseSlot:
    """Where one caller's answer under one idempotency key is stored."""

    account_id: AccountId
    name_digest: bytes
    request_digest: bytes
    key: bytes


def slot_of(account_id: AccountId, idempotency_key: IdempotencyKey, request: tuple[Any, ...]) -> ResponseSlot:
    """Return the slot of a request. `request` is everything that must be equal for two requests to be the same."""
    secret = sha256(f"{idempotency_key.credential}\n{idempotency_key.name}".encode()).digest()
    return ResponseSlot(
        account_id,
        name_digest=sha256(b"name" + secret).digest(),
        request_digest=sha256(json.dumps(request, sort_keys=True, default=str).encode()).digest(),
        key=sha256(b"key" + secret).digest(),
    )


async def acquire_slot(tx: Tx, slot: ResponseSlot) -> dict[str, Any] | None:
    """Return None when this request is the first and runs, else the data of the first.

    Raises RequestInProgress, IdempotencyMismatch.
    """
    in_account = col(StoredResponse.account_id) == slot.account_id
    await tx.execute(delete(StoredResponse).where(in_account, col(StoredResponse.created_at) < tx.now - RETENTION))
    row = {"account_id": slot.account_id, "name_digest": slot.name_digest, "created_at": tx.now}
    statement = insert(StoredResponse).values(**row, request_digest=slot.request_digest).on_conflict_do_nothing()
    try:
        acquired = await tx.find(statement.returning(col(StoredResponse.account_id)))
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) != STOPPED:
            raise
        raise RequestInProgress(
            "The first request with this key still runs.", hint="Send it again in a moment."
        ) from error
    if acquired is not None:
        return None
    stored = await tx.get(select(StoredResponse).where(in_account, col(StoredResponse.name_digest) == slot.name_digest))
    if stored.request_digest != slot.request_digest:
        raise IdempotencyMismatch("This Idempotency-Key was used for another request.", hint="Take a new key for each.")
    return _decrypt(stored, slot)


async def store_response(tx: Tx, slot: ResponseSlot, data: dict[str, Any]) -> None:
    """Store what a repetition will be answered."""
    nonce = token_bytes(NONCE_BYTES)
    answer = nonce + AESGCM(slot.key).encrypt(nonce, msgspec.json.encode(data), slot.request_digest)
    is_this = (col(StoredResponse.account_id) == slot.account_id, col(StoredResponse.name_digest) == slot.name_digest)
    await tx.execute(update(StoredResponse).where(*is_this).values(answer=answer))


async def release_slot(tx: Tx, slot: ResponseSlot) -> None:
    """Give up a slot: nothing was done, so a repetition, or a duplicate that waits, runs."""
    is_this = (col(StoredResponse.account_id) == slot.account_id, col(StoredResponse.name_digest) == slot.name_digest)
    await tx.execute(delete(StoredResponse).where(*is_this))


async def purge_responses(tx: Tx) -> int:
    """Delete the expired responses of all accounts and return how many."""
    expired = delete(StoredResponse).where(col(StoredResponse.created_at) < tx.now - RETENTION)
    return len((await tx.execute(expired.returning(col(StoredResponse.account_id)))).all())


def _decrypt(stored: StoredResponse, slot: ResponseSlot) -> dict[str, Any]:
    if stored.answer is None:
        raise RequestInProgress("The answer of the first request is not known.", hint="Look whether it was done.")
    nonce, sealed = stored.answer[:NONCE_BYTES], stored.answer[NONCE_BYTES:]
    try:
        text = AESGCM(slot.key).decrypt(nonce, sealed, slot.request_digest)
    except InvalidTag:
        raise IdempotencyMismatch("This Idempotency-Key was used for another request.") from None
    data: dict[str, Any] = msgspec.json.decode(text)
    return data
