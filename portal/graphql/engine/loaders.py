"""What many siblings of one operation need is fetched together: one statement for all of them, and once."""

import asyncio
from asyncio import Future, ensure_future, shield
from collections import defaultdict
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

from strawberry.dataloader import DataLoader

from portal import accounts, billing, keys, plans, usage
from portal.check import LimitAnswer, load_live_limits, load_used
from portal.core.database import Tx
from portal.core.ids import AccountId
from portal.limits import Limiter

Key = TypeVar("Key")
Value = TypeVar("Value")
PACE, MIN_PACE, PACE_STEP = timedelta(days=7), timedelta(hours=1), timedelta(days=1)
"""What a pace is measured over, at least and in steps of."""


@dataclass(frozen=True, slots=True)
class MeasuredPace:
    """A pace, and since when it is measured: 7 days ago, or when the account was opened."""

    pace: plans.Pace
    since: datetime


class Shared(DataLoader[Key, Value]):
    """A field that is cancelled for its sibling's error cancels nothing that other fields wait for as well."""

    def load(self, key: Key) -> Awaitable[Value]:
        loaded = ensure_future(super().load(key))
        loaded.add_done_callback(_see)
        return shield(loaded)


def _see(loaded: Future[Any]) -> None:
    """Retrieve the error of a task that nobody awaits any more, so that it is not logged."""
    if not loaded.cancelled():
        loaded.exception()


class Loaders:
    """Live as long as one operation, so nothing is seen by the next caller."""

    def __init__(self, tx: Tx, account_id: AccountId, limiter: Limiter | None) -> None:
        self._tx = tx
        self._account_id = account_id
        self._limiter = limiter
        self.secrets = Shared[str, list[keys.KeySecret]](self._secrets)
        self.last_used = Shared[str, usage.LastUse | None](self._last_used)
        self.entitlements = Shared[str, plans.Entitlement](self._entitlements)
        self.account = Shared[AccountId, accounts.Account](self._accounts)
        self.plan = Shared[AccountId, plans.AccountPlan](self._plans)
        self.pace = Shared[AccountId, MeasuredPace](self._paces)
        self.situation = Shared[AccountId, plans.Situation](self._situations)
        self.key_last_used = Shared[str, datetime | None](self._key_last_used)
        self.key_names = Shared[str, str | None](self._key_names)
        self.live_limits = Shared[str, list[LimitAnswer] | None](self._live_limits)
        self.counted_until = Shared[str, datetime](self._counted_until)
        self.invoice_lines = Shared[str, list[billing.InvoiceLine]](self._invoice_lines)
        self.members = Shared[str, accounts.Member | None](self._members)

    async def _accounts(self, account_ids: list[AccountId]) -> Sequence[accounts.Account]:
        """Load the caller's own account once, however often it is asked for."""
        return [await accounts.get_account(self._tx, account_id) for account_id in account_ids]

    async def _plans(self, account_ids: list[AccountId]) -> Sequence[plans.AccountPlan]:
        return [await plans.get_account_plan(self._tx, account_id) for account_id in account_ids]

    async def _paces(self, account_ids: list[AccountId]) -> Sequence[MeasuredPace]:
        return [await _measure_pace(self._tx, await self.account.load(account_id)) for account_id in account_ids]

    async def _situations(self, account_ids: list[AccountId]) -> Sequence[plans.Situation]:
        found = [await self.account.load(account_id) for account_id in account_ids]
        return [
            await plans.load_situation(self._tx, account, await load_used(self._tx, account, self._limiter))
            for account in found
        ]

    async def _secrets(self, key_ids: list[str]) -> Sequence[list[keys.KeySecret]]:
        found: dict[str, list[keys.KeySecret]] = defaultdict(list)
        for secret in await keys.list_secrets(self._tx, self._account_id, key_ids):
            found[secret.key_id].append(secret)
        return [found[key_id] for key_id in key_ids]

    async def _last_used(self, secret_ids: list[str]) -> Sequence[usage.LastUse | None]:
        found = await usage.last_used_by_secret(self._tx, self._account_id, secret_ids)
        return [found.get(secret_id) for secret_id in secret_ids]

    async def _key_names(self, key_ids: list[str]) -> Sequence[str | None]:
        found = await keys.list_names(self._tx, self._account_id, key_ids)
        return [found.get(key_id) for key_id in key_ids]

    async def _key_last_used(self, key_ids: list[str]) -> Sequence[datetime | None]:
        """Load the newest use of any of a key's secrets."""
        secrets = await self.secrets.load_many(key_ids)
        uses = await asyncio.gather(*[self.last_used.load_many([secret.id for secret in of_key]) for of_key in secrets])
        return [max((use.at for use in of_key if use is not None), default=None) for of_key in uses]

    async def _live_limits(self, key_ids: list[str]) -> Sequence[list[LimitAnswer] | None]:
        """Load the live state of limits; None for all while Redis does not answer."""
        if self._limiter is None:
            return [None for _ in key_ids]
        entitlement = await self.entitlements.load(self._account_id)
        rows = await keys.list_keys_by_id(self._tx, self._account_id, key_ids)
        looks = [load_live_limits(self._limiter, row, entitlement.limits, self._tx.now) for row in rows]
        found = dict(zip([row.id for row in rows], await asyncio.gather(*looks), strict=True))
        return [found.get(key_id) for key_id in key_ids]

    async def _counted_until(self, account_ids: list[str]) -> Sequence[datetime]:
        """Load how far usage is counted: once for a page with several series, as there is one account."""
        return [await usage.counted_until(self._tx, account_id) for account_id in account_ids]

    async def _invoice_lines(self, invoice_ids: list[str]) -> Sequence[list[billing.InvoiceLine]]:
        found: dict[str, list[billing.InvoiceLine]] = defaultdict(list)
        for line in await billing.list_lines(self._tx, self._account_id, invoice_ids):
            found[line.invoice_id].append(line)
        return [found[invoice_id] for invoice_id in invoice_ids]

    async def _members(self, person_ids: list[str]) -> Sequence[accounts.Member | None]:
        rows = await accounts.list_members_by_id(self._tx, self._account_id, person_ids)
        found = {row.id: row for row in rows}
        return [found.get(person_id) for person_id in person_ids]

    async def _entitlements(self, account_ids: list[str]) -> Sequence[plans.Entitlement]:
        """Load the caller's own entitlement, from the plan that other fields may have loaded."""
        return [plans.entitlement_from((await self.plan.load(self._account_id)).plan) for _ in account_ids]


async def _measure_pace(tx: Tx, account: accounts.Account) -> MeasuredPace:
    """Measure the account's pace by its usage history."""
    query = usage.UsageQuery(start=tx.now - PACE, end=tx.now, granularity=usage.Granularity.DAY)
    series = await usage.usage_series(tx, account.id, query)
    first_use = next((point.at for point in series.points if point.totals.calls), tx.now)
    was_used_before = first_use < account.created_at - PACE_STEP  # usage that was brought along
    begun = first_use if was_used_before else account.created_at
    since = max(series.start, min(begun, tx.now - MIN_PACE))
    return MeasuredPace(plans.Pace(series.totals.billable, int((tx.now - since).total_seconds())), since)
