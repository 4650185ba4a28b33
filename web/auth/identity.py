"""Who asks: types only, so that whatever keeps callers imports nothing that looks them up."""

from dataclasses import dataclass, field
from typing import Any

from portal.accounts import Account, Person
from portal.core.actor import Actor


@dataclass(frozen=True, slots=True)
class Visitor:
    """A person who is signed in with a browser. `token` is the session cookie's value; `page_notes` wait for pages."""

    person: Person
    actor: Actor
    account: Account
    token: str
    page_notes: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever calls the API. `credential` is the token or the session cookie's value; empty for an anonymous caller."""

    actor: Actor
    person: Person | None = None
    credential: str = ""
