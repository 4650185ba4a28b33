"""Meter usage that a product counted itself: subjects become keys and accounts, times become billing periods.

Counts to quota and invoice like a check that was answered VALID, and is never denied.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import msgspec

from portal.accounts import Account, list_accounts
from portal.core.database import Database
from portal.core.environments import LIVE
from portal.keys import find_keys_anywhere
from portal.limits import Limiter
from portal.metering.cloud_events import CloudEvent, Refusal
from portal.plans import AccountPeriods, load_periods_of
from portal.usage import (
    ExternalEvent,
    ExternalResult,
    ExternalStatus,
    ResourceCap,
    Retention,
    find_counted,
    ingest_external,
    oldest_kept,
    sync_quota_counters,
)

MAX_AHEAD = timedelta(minutes=10)
"""How far the clock of a product may be ahead of PostgreSQL's."""
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
_UNKNOWN_SUBJECT = "There is no such key or account - at `$.subject`"


class MeteringAccepted(msgspec.Struct, frozen=True, rename="camel"):
    """`status`: counted, or duplicate for what was counted before. `request_id` names its row in the request log."""

    position: int
    id: str
    status: str
    request_id: str


MeteringResult = MeteringAccepted | Refusal


@dataclass(frozen=True, slots=True)
class ResolvedSubject:
    """What an event's subject names: a key, or an account (`key_id` empty, any environment).

    Nobody is billed for what was used before `opened_at`, when the account was opened.
    """

    account_id: str
    key_id: str
    environment: str | None
    periods: AccountPeriods
    opened_at: datetime


@dataclass(frozen=True, slots=True)
class LateEvent:
    """An event of before what is counted, and what its time should have been."""

    event: ExternalEvent
    detail: str


@dataclass(frozen=True, slots=True)
class Meter:
    """Counts external usage, one a process. Events older than `late_days`, or than the raw events kept, are refused."""

    database: Database
    limiter: Limiter
    retention: Retention
    late_days: int
    cap: ResourceCap = field(default_factory=ResourceCap)

    async def count(self, parsed: Sequence[CloudEvent | Refusal], service_token_id: str) -> list[MeteringResult]:
        """Count events and return a result for each in its order; what was refused on parsing stays refused.

        Raises database errors: then nothing was counted, and a retry is safe.
        """
        results: list[MeteringResult | None] = [item if isinstance(item, Refusal) else None for item in parsed]
        events: dict[int, ExternalEvent] = {}
        late: dict[int, LateEvent] = {}
        subjects, now = await self._load_subjects([item for item in parsed if isinstance(item, CloudEvent)])
        for position, item in enumerate(parsed):
            if isinstance(item, Refusal):
                continue
            event = _resolve(position, item, subjects, now)
            if isinstance(event, Refusal):
                results[position] = event
            elif event.occurred_at < (opened_at := subjects[item.subject].opened_at):
                since = f"{opened_at:%Y-%m-%dT%H:%M:%SZ}"
                late[position] = LateEvent(event, f"Expected a time since {since}, when the account was opened")
            elif event.occurred_at < self.earliest_at(now):
                late[position] = LateEvent(event, f"Expected a time within the last {self.late_days} days")
            else:
                events[position] = event
        await self._answer_late(late, results)
        await self._count(events, results, service_token_id)
        return [result for result in results if result is not None]

    def earliest_at(self, now: datetime) -> datetime:
        """Return since when events are taken."""
        return max(now - timedelta(days=self.late_days), oldest_kept(now, self.retention.raw))

    async def _load_subjects(self, events: Sequence[CloudEvent]) -> tuple[dict[str, ResolvedSubject], datetime]:
        names = sorted({event.subject for event in events})
        async with self.database.transaction() as tx:
            keys = await find_keys_anywhere(tx, names)
            accounts = {row.id: row for row in await list_accounts(tx, {*names, *(key.account_id for key in keys)})}
            periods = await load_periods_of(tx, [*accounts.values()])
            now = tx.now
        subjects = {row.id: _subject(row, periods[row.id]) for row in accounts.values()}
        for key in keys:
            account = subjects[key.account_id]
            subjects[key.id] = replace(account, key_id=key.id, environment=key.environment)
        return subjects, now

    async def _answer_late(self, late: dict[int, LateEvent], results: list[MeteringResult | None]) -> None:
        """Refuse events of too long ago, but for those that were counted before: a late retry is a duplicate."""
        if not late:
            return
        async with self.database.transaction() as tx:
            counted = await find_counted(tx, [item.event for item in late.values()])
        for position, item in late.items():
            if item.event.external_id in counted:
                results[position] = _result(position, item.event, counted[item.event.external_id])
            else:
                results[position] = Refusal(position, "too_late", f"{item.detail} - at `$.time`", item.event.event_id)

    async def _count(
        self, events: dict[int, ExternalEvent], results: list[MeteringResult | None], service_token_id: str
    ) -> None:
        if not events:
            return
        outcome = await ingest_external(self.database, [*events.values()], service_token_id, self.cap)
        for (position, event), result in zip(events.items(), outcome.results, strict=True):
            results[position] = _result(position, event, result)
        await sync_quota_counters(self.limiter.raise_used, outcome.totals)


def _subject(account: Account, periods: AccountPeriods) -> ResolvedSubject:
    return ResolvedSubject(account.id, "", None, periods, account.created_at)


def _resolve(
    position: int, event: CloudEvent, subjects: dict[str, ResolvedSubject], now: datetime
) -> ExternalEvent | Refusal:
    subject, data = subjects.get(event.subject), event.data
    if subject is None:
        return Refusal(position, "unknown_subject", _UNKNOWN_SUBJECT, event.id)
    if subject.environment and data.environment not in (None, subject.environment):
        detail = f"The key is a {subject.environment} key - at `$.data.environment`"
        return Refusal(position, "invalid", detail, event.id)
    if event.time is not None and event.time > now + MAX_AHEAD:
        return Refusal(position, "in_future", "Expected a time that has come - at `$.time`", event.id)
    at = max(event.time or now, EARLIEST).astimezone(UTC)
    return ExternalEvent(
        account_id=subject.account_id,
        source=event.source,
        event_id=event.id,
        occurred_at=at,
        key_id=subject.key_id,
        environment=subject.environment or data.environment or LIVE,
        resource=data.resource,
        cost=data.amount,
        period=subject.periods.at(at).name,
        has_own_time=event.time is not None,
    )


def _result(position: int, event: ExternalEvent, result: ExternalResult) -> MeteringResult:
    if result.status is ExternalStatus.CONFLICT:
        detail = "Another content was counted under this source and id - at `$.id`"
        return Refusal(position, "conflict", detail, event.event_id)
    return MeteringAccepted(position, event.event_id, result.status.value, result.request_id)
