"""Choose the account's time zone: from the next billing period on, its months and days are those of the new zone."""

from dataclasses import dataclass
from datetime import datetime

from portal import audit
from portal.accounts import Account, bump_policy_version, check_time_zone, lock_account
from portal.core.actor import Actor, Permission, requires
from portal.core.database import Tx
from portal.core.errors import Conflict
from portal.plans.calendar import AccountPeriod, next_period
from portal.plans.periods import store
from portal.plans.periods.load_periods import store_periods

SET_TIME_ZONE = audit.Action("account.set_time_zone", "set the time zone to")


@dataclass(frozen=True, slots=True)
class ChosenTimeZone:
    """The account, its current period, and the one from which on the zone that was chosen is in force."""

    account: Account
    current: AccountPeriod
    following: AccountPeriod


@requires(Permission.ACCOUNT_WRITE)
async def set_time_zone(tx: Tx, actor: Actor, time_zone: str) -> ChosenTimeZone:
    """Let the next period, and those that follow, be months of this zone; the current one stays as it is.

    The current zone withdraws what was chosen. Idempotent for the zone that is chosen already. Raises Forbidden,
    Invalid (no such zone), NotFound, Conflict (chosen once in this period already, or the period has just ended).
    """
    zone = check_time_zone(time_zone)
    account = await lock_account(tx, actor.account_id)
    periods = (await store_periods(tx, [account]))[account.id]
    current, following = periods.around(tx.now)
    if zone == following.time_zone:
        return ChosenTimeZone(account, current, following)
    if periods.stored[-1].name > following.name:
        raise Conflict("The billing period has just ended.", hint="Choose the time zone again.", path=("timeZone",))
    _choose(account, zone, current, tx.now)
    following = next_period(current, zone)
    await store.update_period(tx, account.id, following)
    await tx.flush()
    effective_from = f"{following.start:%Y-%m-%dT%H:%M:%SZ}"
    await audit.record(tx, actor, SET_TIME_ZONE, account.id, time_zone=zone, effective_from=effective_from)
    await bump_policy_version(tx, account.id)
    return ChosenTimeZone(account, current, following)


def _choose(account: Account, zone: str, current: AccountPeriod, now: datetime) -> None:
    """Note what waits. Raises Conflict for a second choice in a period, be the first withdrawn."""
    if zone == current.time_zone:
        account.next_time_zone = account.next_time_zone_from = None
        return
    if account.time_zone_chosen_at is not None and account.time_zone_chosen_at >= current.start:
        back = f", or return to {current.time_zone}" if account.next_time_zone else ""
        raise Conflict(
            "The time zone can be changed once in a billing period, and was.",
            hint=f"Change it again after {current.days[-1]:%-d %B %Y}{back}.",
            path=("timeZone",),
        )
    account.next_time_zone, account.next_time_zone_from, account.time_zone_chosen_at = zone, current.end, now
