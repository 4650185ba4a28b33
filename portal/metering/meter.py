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
from portal.plans import periods_around
from portal.usage import (
    ExternalEvent,
    ExternalStatus,
    ResourceCap,
    Retention,
    count_external,
    find_counted,
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

    `first_period` is the one in which the account was opened: nobody is billed for a month before.
    """

    account_id: str
    key_id: str
    environment: str | None
    time_zone: str
    first_period: str


@dataclass(frozen=True, slots=True)
class Meter:
    """Counts external usage, one a process. Events older than `late_days`, or than the raw events kept, are refused."""

    database: Database
    limiter: Limiter
    retention: Retention
    late_days: int
    cap: ResourceCap = field(default_factory=ResourceCap)

    async def count(self, parsed: Sequence[CloudEvent | Refusal], service_id: str) -> list[MeteringResult]:
        """Count events and return a result for each in its order; what was refused on parsing stays refused.

        Raises database errors: then nothing was counted, and a retry is safe.
        """
        results: list[MeteringResult | None] = [item if isinstance(item, Refusal) else None for item in parsed]
        events: dict[int, ExternalEvent] = {}
        late: dict[int, ExternalEvent] = {}
        subjects, now = await self._load_subjects([item for item in parsed if isinstance(item, CloudEvent)])
        for position, item in enumerate(parsed):
            if isinstance(item, Refusal):
                continue
            event = _resolve(position, item, subjects, now)
            if isinstance(event, Refusal):
                results[position] = event
            else:
                (late if event.occurred_at < self.earliest_at(now) else events)[position] = event
        await self._answer_late(late, results)
        await self._count(events, results, service_id)
        return [result for result in results if result is not None]

    def earliest_at(self, now: datetime) -> datetime:
        """Return since when events are taken."""
        return max(now - timedelta(days=self.late_days), oldest_kept(now, self.retention.raw))

    async def _load_subjects(self, events: Sequence[CloudEvent]) -> tuple[dict[str, ResolvedSubject], datetime]:
        names = sorted({event.subject for event in events})
        async with self.database.transaction() as tx:
            keys = await find_keys_anywhere(tx, names)
            accounts = {row.id: row for row in await list_accounts(tx, {*names, *(key.account_id for key in keys)})}
            now = tx.now
        subjects = {row.id: _subject(row) for row in accounts.values()}
        for key in keys:
            account = subjects[key.account_id]
            subjects[key.id] = replace(account, key_id=key.id, environment=key.environment)
        return subjects, now

    async def _answer_late(self, late: dict[int, ExternalEvent], results: list[MeteringResult | None]) -> None:
        """Refuse events that are too late, but for those that were counted before: a late retry is a duplicate."""
        if not late:
            return
        async with self.database.transaction() as tx:
            counted = await find_counted(tx, [*late.values()])
        for position, event in late.items():
            if event.external_id in counted:
                results[position] = _result(position, event, counted[event.external_id])
            else:
                detail = f"Expected a time within the last {self.late_days} days - at `$.time`"
                results[position] = Refusal(position, "too_late", detail, event.event_id)

    async def _count(
        self, events: dict[int, ExternalEvent], results: list[MeteringResult | None], service_id: str
    ) -> None:
        if not events:
            return
        outcome = await count_external(self.database, [*events.values()], service_id, self.cap)
        for (position, event), status in zip(events.items(), outcome.statuses, strict=True):
            results[position] = _result(position, event, status)
        await sync_quota_counters(self.limiter.raise_used, outcome.totals)


def _subject(account: Account) -> ResolvedSubject:
    opened = periods_around(account.created_at, account.time_zone)[0].name
    return ResolvedSubject(account.id, "", None, account.time_zone, opened)


def _resolve(
    position: int, event: CloudEvent, subjects: dict[str, ResolvedSubject], now: datetime
) -> ExternalEvent | Refusal:
    subject, data = subjects.get(event.subject), event.data
    if subject is None:
        return Refusal(position, "unknown_subject", _UNKNOWN_SUBJECT, event.id)
    if subject.environment and data.environment not in (None, subject.environment):
        detail = f"The key is a {subject.environment} key - at `$.data.environment`"
        return Refusal(position, "invalid", detail, event.id)
    if event.time > now + MAX_AHEAD:
        return Refusal(position, "in_future", "Expected a time that has come - at `$.time`", event.id)
    at = max(event.time, EARLIEST).astimezone(UTC)
    period = periods_around(at, subject.time_zone)[0].name
    if period < subject.first_period:
        detail = f"Expected a time since {subject.first_period}, when the account was opened - at `$.time`"
        return Refusal(position, "too_late", detail, event.id)
    return ExternalEvent(
        account_id=subject.account_id,
        source=event.source,
        event_id=event.id,
        occurred_at=at,
        key_id=subject.key_id,
        environment=subject.environment or data.environment or LIVE,
        resource=data.resource,
        cost=data.amount,
        period=period,
    )


def _result(position: int, event: ExternalEvent, status: ExternalStatus) -> MeteringResult:
    if status is ExternalStatus.CONFLICT:
        detail = "Another content was counted under this source and id - at `$.id`"
        return Refusal(position, "conflict", detail, event.event_id)
    return MeteringAccepted(position, event.event_id, status.value, event.request_id)
