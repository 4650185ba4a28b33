"""Switch account: the session acts in another account of its person from the next request on."""

from dataclasses import replace

from portal import audit
from portal.accounts import store
from portal.accounts.models import Account, Membership
from portal.accounts.sessions import store as session_store
from portal.core.actor import Actor, Permission, Role, requires
from portal.core.database import Tx
from portal.core.errors import Conflict, NotFound
from portal.core.ids import AccountId

SWITCH = audit.Action("account.switch", "switched accounts")


@requires(Permission.SELF_WRITE)
async def switch_account(tx: Tx, actor: Actor, account_id: str) -> tuple[Account, Membership]:
    """Switch the session to another account. Both audit logs record it, neither names the other. Idempotent.

    Raises NotFound unless the person is a member, Forbidden, and Conflict for a token, which belongs to one account and
    must not learn of which others its person is a member.
    """
    session = await session_store.find_own_session(tx, actor.id, actor.credential or "")
    if session is None:
        raise Conflict("A token belongs to one account.", hint="Make one there.", path=("accountId",))
    account = await store.find_account(tx, account_id)
    membership = await store.find_membership(tx, account_id, actor.id)
    if account is None or membership is None:
        raise NotFound("You are not a member of such an account.", path=("accountId",))
    if session.account_id == account.id:
        return account, membership
    await audit.record(tx, actor, SWITCH, session.id, to="another account")
    await session_store.update_session_account(tx, session, account.id)
    there = replace(actor, account_id=AccountId(account.id), role=Role(membership.role))
    async with tx.acting_for(account.id):
        await audit.record(tx, there, SWITCH, session.id, to="this account")
    return account, membership
