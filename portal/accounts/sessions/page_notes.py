"""What waits for a page of a session: a message that is shown once, a form that was typed before signing in."""

from typing import Any

from portal.accounts.sessions import store as session_store
from portal.core.database import Tx

MAX_NOTES = 20


async def leave_page_note(tx: Tx, session_id: str, path: str, note: dict[str, Any]) -> None:
    """Leave a note for the page at `path`, in place of an older one. Beyond MAX_NOTES pages the older ones go."""
    await session_store.update_page_notes(tx, session_id, path, note, MAX_NOTES)


async def take_page_note(tx: Tx, session_id: str, path: str) -> bool:
    """Remove the page's note; return whether it was still there, so that of two who show the page only one has it."""
    return await session_store.delete_page_note(tx, session_id, path)
