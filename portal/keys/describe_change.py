"""Say who changed a key meanwhile: for whoever is refused since their page is older than that change."""

from portal import accounts, audit
from portal.core.actor import Actor
from portal.core.database import Tx
from portal.keys.models import Key


async def describe_change(tx: Tx, actor: Actor, key: Key, action: str, what: str) -> str:
    """Return who did this to the key last and when, as a sentence."""
    events = await audit.list_newest(tx, key.account_id, audit.AuditFilter(action=action, subject=key.id), most=1)
    if not events:
        return f"Somebody has {what} meanwhile."
    (event,) = events
    members = await accounts.list_members_by_id(tx, key.account_id, [event.actor_id])
    who = "You have" if event.actor_id == actor.id else f"{members[0].name} has" if members else "Somebody has"
    where = " on another page" if event.actor_id == actor.id else ""
    return f"{who} {what}{where} meanwhile (at {event.occurred_at:%H:%M:%S} UTC on {event.occurred_at:%Y-%m-%d})."
