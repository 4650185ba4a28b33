"""Statements of sessions. They are a person's own, in whichever account they act."""

import json
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import DateTime, LargeBinary, Select, String, bindparam, delete, func, select, text, tuple_, update
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlmodel import col

from portal.accounts.models import SentForm, Session
from portal.accounts.rules import MAX_IDLE_TIME
from portal.core.database import Tx
from portal.core.errors import NotFound

Selected = TypeVar("Selected")


async def find_session(tx: Tx, digest: bytes) -> Session | None:
    return await tx.find(select(Session).where(col(Session.token_digest) == digest))


async def find_own_session(tx: Tx, person_id: str, session_id: str) -> Session | None:
    """Return the person's session, or None if it ended or belongs to another person."""
    statement = _living(select(Session), person_id, tx.now).where(col(Session.id) == session_id)
    return await tx.find(statement)


async def get_own_session(tx: Tx, person_id: str, session_id: str) -> Session:
    session = await find_own_session(tx, person_id, session_id)
    if session is None:
        raise NotFound("There is no such session.", path=("id",))
    return session


async def list_sessions(
    tx: Tx, person_id: str, *, most: int, before: tuple[datetime, str] | None = None
) -> list[Session]:
    """Return active sessions, newest first; `before` is (created_at, id) of the last one seen."""
    statement = _living(select(Session), person_id, tx.now)
    if before is not None:
        statement = statement.where(tuple_(col(Session.created_at), col(Session.id)) < before)
    return await tx.list(statement.order_by(col(Session.created_at).desc(), col(Session.id).desc()).limit(most))


async def count_sessions(tx: Tx, person_id: str) -> int:
    return await tx.get(_living(select(func.count(col(Session.id))), person_id, tx.now))


async def update_session_seen(tx: Tx, session: Session, seen_at: datetime, address: str | None) -> None:
    statement = update(Session).where(col(Session.id) == session.id)
    await tx.execute(statement.values(seen_at=seen_at, address=address or session.address))


async def update_session_account(tx: Tx, session: Session, account_id: str) -> None:
    await tx.execute(update(Session).where(col(Session.id) == session.id).values(account_id=account_id))


async def delete_session(tx: Tx, session: Session) -> None:
    await tx.execute(delete(Session).where(col(Session.id) == session.id))


async def delete_other_sessions(tx: Tx, person_id: str, kept_id: str | None) -> int:
    """Delete all sessions of the person except one and return how many."""
    statement = delete(Session).where(col(Session.person_id) == person_id, col(Session.id) != (kept_id or ""))
    return len((await tx.execute(statement.returning(col(Session.id)))).all())


async def delete_sessions_beyond(tx: Tx, person_id: str, most: int) -> int:
    """Delete all sessions of the person but the `most` that were used last; returns how many."""
    beyond = (
        select(col(Session.id))
        .where(col(Session.person_id) == person_id)
        .order_by(col(Session.seen_at).desc(), col(Session.id).desc())
        .offset(most)
    )
    statement = delete(Session).where(col(Session.id).in_(beyond)).returning(col(Session.id))
    return len((await tx.execute(statement)).all())


async def delete_expired_sessions(tx: Tx, most: int) -> int:
    """Delete up to so many expired sessions of all people and return how many."""
    over = select(col(Session.id)).where(col(Session.expires_at) <= tx.now)
    ended = over.limit(most).with_for_update(skip_locked=True)
    statement = delete(Session).where(col(Session.id).in_(ended)).returning(col(Session.id))
    return len((await tx.execute(statement)).all())


async def insert_sent_form(tx: Tx, form_id: str, session_id: str, account_id: str) -> bool:
    """Return whether the form is new; waits for another transaction that is just inserting it."""
    row = {"id": form_id, "session_id": session_id, "account_id": account_id, "created_at": tx.now}
    statement = insert(SentForm).values(**row).on_conflict_do_nothing().returning(col(SentForm.id))
    return await tx.find(statement) is not None


async def find_sent_form(tx: Tx, form_id: str, session_id: str) -> SentForm | None:
    return await tx.find(select(SentForm).where(col(SentForm.id) == form_id, col(SentForm.session_id) == session_id))


async def delete_sent_form(tx: Tx, form_id: str) -> None:
    await tx.execute(delete(SentForm).where(col(SentForm.id) == form_id))


async def update_sealed(tx: Tx, form_id: str, sealed: bytes) -> None:
    await tx.execute(update(SentForm).where(col(SentForm.id) == form_id).values(sealed=sealed))


async def erase_sealed(tx: Tx, form_id: str, session_id: str) -> None:
    is_this = (col(SentForm.id) == form_id, col(SentForm.session_id) == session_id)
    await tx.execute(update(SentForm).where(*is_this).values(sealed=None))


async def erase_expired_sealed(tx: Tx, made_before: datetime) -> int:
    """Erase the secrets of all sessions that were made before then and return how many."""
    is_over = (col(SentForm.sealed).is_not(None), col(SentForm.created_at) <= made_before)
    statement = update(SentForm).where(*is_over).values(sealed=None).returning(col(SentForm.id))
    return len((await tx.execute(statement)).all())


_LEAVE_NOTE = text("""
UPDATE sessions SET page_notes = CASE
    WHEN (SELECT count(*) FROM jsonb_object_keys(coalesce(page_notes, '{}'))) >= :most THEN CAST(:note AS jsonb)
    ELSE coalesce(page_notes, '{}') || CAST(:note AS jsonb) END
WHERE id = :id
""")
_TAKE_NOTE = text("""
UPDATE sessions SET page_notes = nullif(page_notes - :path, '{}')
WHERE id = :id AND jsonb_exists(page_notes, :path) RETURNING id
""").bindparams(bindparam("path", type_=String))


async def update_page_notes(tx: Tx, session_id: str, path: str, note: dict[str, Any], most: int) -> None:
    """Set the note of one page; with so many pages already, only this one stays."""
    await tx.execute(_LEAVE_NOTE, {"id": session_id, "note": json.dumps({path: note}), "most": most})


async def delete_page_note(tx: Tx, session_id: str, path: str) -> bool:
    return await tx.find(_TAKE_NOTE, {"id": session_id, "path": path}) is not None


_STANDING = text("""
SELECT held.token_digest, held.account_id, member.role, person.is_staff FROM (
    SELECT token_digest, person_id, account_id FROM sessions
        WHERE token_digest = ANY(:digests) AND expires_at > :now AND seen_at > :idle_since
    UNION ALL
    SELECT token_digest, person_id, account_id FROM personal_tokens
        WHERE token_digest = ANY(:digests) AND revoked_at IS NULL AND coalesce(expires_at > :now, true)
) held JOIN memberships member USING (person_id, account_id) JOIN people person ON person.id = held.person_id
""").bindparams(
    bindparam("digests", type_=ARRAY(LargeBinary)),
    bindparam("now", type_=DateTime(timezone=True)),
    bindparam("idle_since", type_=DateTime(timezone=True)),
)


async def list_standing(tx: Tx, digests: Collection[bytes]) -> Sequence[tuple[bytes, str, str, bool]]:
    """Return (digest, account_id, role, is_staff) of valid sessions and tokens; no session is kept alive."""
    rows = await tx.execute(_STANDING, {"digests": [*digests], "now": tx.now, "idle_since": tx.now - MAX_IDLE_TIME})
    return [(bytes(row.token_digest), row.account_id, row.role, row.is_staff) for row in rows]


def _living(statement: Select[Selected], person_id: str, now: datetime) -> Select[Selected]:
    return statement.where(
        col(Session.person_id) == person_id, col(Session.expires_at) > now, col(Session.seen_at) > now - MAX_IDLE_TIME
    )
