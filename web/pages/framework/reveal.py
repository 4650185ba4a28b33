"""A form that makes a secret: it acts once, and leads to an address where its session sees the secret for a while."""

from dataclasses import dataclass
from typing import Any

from portal.accounts import FormSeal, keep_secret, release_form, seal_of, take_form
from portal.core.actor import Actor
from portal.core.database import Tx
from portal.core.ids import new_id
from web.auth.identity import Visitor
from web.pages.framework.form import FORM_NUMBER, Form


def address_of(seal: FormSeal) -> str:
    """Return where the secret of a form is shown."""
    return f"/reveals/{seal.id}"


def seal_of_form(visitor: Visitor, form: Form) -> FormSeal:
    """Return the seal of a form that was sent; one without a number, as from a page of an older version, is its own."""
    return seal_of(visitor.token, form.text(FORM_NUMBER)[:64] or new_id("form"))


@dataclass(frozen=True, slots=True)
class RevealOnce:
    """Implements portal.graphql.RunOnce for a form whose secret the page `page_name` shows."""

    seal: FormSeal
    page_name: str

    async def acquire(self, tx: Tx, actor: Actor) -> None:
        await take_form(tx, actor, self.seal)

    async def finish(self, tx: Tx, data: dict[str, Any]) -> None:
        (result,) = data.values()
        if "code" in result:
            await release_form(tx, self.seal)
            return
        (owner,) = (value for value in result.values() if isinstance(value, dict))
        (secret,) = (value for value in result.values() if isinstance(value, str))
        await keep_secret(tx, self.seal, {"page": self.page_name, "id": owner["id"], "secret": secret})
