"""`portal account` as it is typed."""

from portal import accounts, audit
from portal.core.database import Database
from portal.core.ids import new_id
from portal.plans import AccountPeriod, first_period, next_period
from tests.cli.demo_portal import run_portal


def shown(*periods: AccountPeriod) -> str:
    return "".join(
        f"{period.name}  {period.start:%Y-%m-%d %H:%M} to {period.end:%Y-%m-%d %H:%M} UTC  {period.time_zone}\n"
        for period in periods
    )


async def test_a_zone_is_shown_and_chosen(own: Database, where: dict[str, str]) -> None:
    async with own.transaction() as tx:
        email = f"{new_id('t').lower()}@example.com"
        new = accounts.NewAccount(email, "correct horse battery", "Ann", "Acme", "Europe/Berlin")
        _, account = await accounts.sign_up(tx, new, password_hash="not used")
        current = first_period(tx.now, "Europe/Berlin")
    before = shown(current, next_period(current, "Europe/Berlin"))
    after = shown(current, next_period(current, "Asia/Tokyo"))
    assert await run_portal("account", "zone", account.id, **where) == (0, before, "")
    code, out, err = await run_portal("account", "zone", account.id, "Mars/Olympus", **where)
    assert (code, out, err) == (
        2,
        "",
        "portal: timeZone: There is no time zone 'Mars/Olympus'. Name one like Europe/Berlin.\n",
    )
    assert await run_portal("account", "zone", account.id, "Asia/Tokyo", **where) == (0, after, "")
    assert await run_portal("account", "zone", account.id, **where) == (0, after, "")
    code, out, err = await run_portal("account", "zone", account.id, "Europe/Lisbon", **where)
    assert (code, out, "or return to Europe/Berlin" in err, err.count("\n")) == (1, "", True, 1)
    assert await run_portal("account", "zone", account.id, "Europe/Berlin", **where) == (0, before, "")
    code, _, err = await run_portal("account", "zone", "acct_nobody", **where)
    assert (code, err.count("\n"), "no such account" in err) == (1, 1, True)
    async with own.transaction() as tx:
        rows = await audit.list_newest(tx, account.id, audit.AuditFilter(action="account"), most=9)
    assert [row.details["time_zone"] for row in rows if row.action == "account.set_time_zone"] == [
        "Europe/Berlin",
        "Asia/Tokyo",
    ]
