"""`portal account plan` as it is typed."""

from datetime import timedelta

from portal import plans
from portal.core.actor import SYSTEM, Actor
from portal.core.database import Database
from portal.core.ids import AccountId
from tests.billing.account import month, new_account
from tests.cli.demo_portal import run_portal


async def test_an_accounts_plan_is_shown_and_moved(own: Database, where: dict[str, str]) -> None:
    account_id = await new_account(own, opened=month(2))
    assert await run_portal("account", "plan", account_id, **where) == (0, "free  version 1\n", "")
    code, out, _ = await run_portal("account", "plan", account_id, "enterprise", **where)
    assert (code, out.startswith("enterprise  version 1, since ")) == (0, True)
    async with own.transaction() as tx:
        free = await plans.get_plan_called(tx, "free")
        await plans.subscribe(tx, Actor("system", SYSTEM.id, AccountId(account_id)), free.id)
    code, out, _ = await run_portal("account", "plan", account_id, **where)
    assert (code, "\nfree  version 1, from " in out) == (0, True)
    code, out, _ = await run_portal("account", "plan", account_id, "pro", **where)
    assert (code, out.startswith("pro  version 1, since "), out.count("\n")) == (0, True, 1)


async def test_what_cannot_be_is_refused(own: Database, where: dict[str, str]) -> None:
    account_id = await new_account(own, opened=month(2))
    async with own.transaction() as tx:
        pro = await plans.get_plan_called(tx, "pro")
        tx.now = month(1) + timedelta(days=1)
        await plans.subscribe(tx, Actor("system", SYSTEM.id, AccountId(account_id)), pro.id)
    code, _, err = await run_portal("account", "plan", account_id, "free", **where)
    assert (code, "Choose Free from the next period on." in err, err.count("\n")) == (1, True, 1)
    code, _, err = await run_portal("account", "plan", account_id, "none", **where)
    assert (code, "There are: free, pro, enterprise." in err) == (1, True)
    code, _, err = await run_portal("account", "plan", "acct_none", **where)
    assert (code, "There is no such account." in err) == (1, True)
