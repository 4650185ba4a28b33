"""The version of a key's settings: what somebody saw when they began to change them.

It is a digest of each setting, side by side, so it needs no column, holds for changes that any other process made, and
tells which settings differ. Saving with an older one is refused and says who changed what: a stale page never lifts an
allow-list that somebody has set meanwhile.
"""

import json
from hashlib import sha256

from portal import accounts, audit
from portal.core.actor import Actor
from portal.core.database import Tx
from portal.core.errors import Conflict
from portal.keys.models import Key

DIGEST_CHARACTERS = 8
FIELDS = {
    "name": "name",
    "scopes": "scopes",
    "allowed_ips": "allowed addresses",
    "attributes": "metadata",
    "expires_at": "expiry",
    "limits": "own limits",
}
"""The settings with the names that people read."""


def settings_version(key: Key) -> str:
    """Return the version of the key's settings: it changes with each of them. Pure."""
    return "".join(_digest(getattr(key, field)) for field in FIELDS)


def changed_since(version: str, key: Key) -> list[str]:
    """Return the names of the settings that differ from the version; all of them if it is none of ours. Pure."""
    current = settings_version(key)
    if len(version) != len(current):
        return [*FIELDS.values()]
    places = range(0, len(current), DIGEST_CHARACTERS)
    return [
        name
        for name, place in zip(FIELDS.values(), places, strict=True)
        if version[place : place + DIGEST_CHARACTERS] != current[place : place + DIGEST_CHARACTERS]
    ]


async def require_version(tx: Tx, actor: Actor, key: Key, version: str) -> None:
    """Refuse to save over a change that the caller has not seen. Raises Conflict, which says who changed what."""
    changed = changed_since(version, key)
    if changed:
        what = f"changed {joined(changed)}"
        raise Conflict(
            f"{await describe_change(tx, actor, key, 'key.update', what)} Nothing was saved.",
            hint="Look at the key as it is now and save again.",
            path=("version",),
        )


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


def joined(names: list[str]) -> str:
    """Return a list as people write it: name, scopes and expiry."""
    *before, last = names
    return f"{', '.join(before)} and {last}" if before else last


def _digest(value: object) -> str:
    return sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:DIGEST_CHARACTERS]
