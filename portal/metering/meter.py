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
    ResourceNames,
    Retention,
    Verdict,
    count_external,
    known_external,
    oldest_kept,
    sync_quota_counters,
)

AHEAD = timedelta(minutes=10)
"""How far the clock of a product may be ahead of PostgreSQL's."""
OLDEST = datetime(2000, 1, 1, tzinfo=UTC)
_UNKNOWN = "There is no such key or account - at `$.subject`"


class MeteringAccepted(msgspec.Struct, frozen=True, rename="camel"):
    """`status`: counted, or duplicate for what was counted before. `request_id` names its row in the request log."""

    position: int
    id: str
    status: str
    request_id: str


MeteringResult = MeteringAccepted | Refusal


@dataclass(frozen=True, slots=True)
class Subject:
    account_id: str
    key_id: str
    environment: str | None
    time_zone: str
    first_period: str
    """In which its account was opened: nobody is billed for a month before."""


@dataclass(frozen=True, slots=True)
class Meter:
    """One a process. Events older than `late_days`, or than the raw events that are kept, are refused."""

    database: Database
    limiter: Limiter
    retention: Retention
    late_days: int
    names: ResourceNames = field(default_factory=ResourceNames)

    async def count(self, asked: Sequence[CloudEvent | Refusal], service_id: str) -> list[MeteringResult]:
        """A result for each in its order. Raises database errors: then nothing was counted, and a retry is safe."""
        results: list[MeteringResult | None] = [one if isinstance(one, Refusal) else None for one in asked]
        events: dict[int, ExternalEvent] = {}
        late: dict[int, ExternalEvent] = {}
        subjects, now = await self._subjects([one for one in asked if isinstance(one, CloudEvent)])
        for position, one in enumerate(asked):
            if isinstance(one, Refusal):
                continue
            found = _resolve(position, one, subjects, now)
            if isinstance(found, Refusal):
                results[position] = found
            else:
                (late if found.occurred_at < self.earliest(now) else events)[position] = found
        await self._recognise(late, results)
        await self._add(events, results, service_id)
        return [one for one in results if one is not None]

    def earliest(self, now: datetime) -> datetime:
        return max(now - timedelta(days=self.late_days), oldest_kept(now, self.retention.raw))

    async def _subjects(self, events: Sequence[CloudEvent]) -> tuple[dict[str, Subject], datetime]:
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

    async def _recognise(self, late: dict[int, ExternalEvent], results: list[MeteringResult | None]) -> None:
        """A retry that comes very late is still told that it was counted."""
        if not late:
            return
        async with self.database.transaction() as tx:
            known = await known_external(tx, [*late.values()])
        for position, event in late.items():
            if event.name in known:
                results[position] = _result(position, event, known[event.name])
            else:
                detail = f"Expected a time within the last {self.late_days} days - at `$.time`"
                results[position] = Refusal(position, "too_late", detail, event.event_id)

    async def _add(
        self, events: dict[int, ExternalEvent], results: list[MeteringResult | None], service_id: str
    ) -> None:
        if not events:
            return
        outcome = await count_external(self.database, [*events.values()], service_id, self.names)
        for (position, event), verdict in zip(events.items(), outcome.verdicts, strict=True):
            results[position] = _result(position, event, verdict)
        await sync_quota_counters(self.limiter.raise_used, outcome.totals)


def _subject(account: Account) -> Subject:
    opened = periods_around(account.created_at, account.time_zone)[0].name
    return Subject(account.id, "", None, account.time_zone, opened)


def _resolve(position: int, event: CloudEvent, subjects: dict[str, Subject], now: datetime) -> ExternalEvent | Refusal:
    subject, data = subjects.get(event.subject), event.data
    if subject is None:
        return Refusal(position, "unknown_subject", _UNKNOWN, event.id)
    if subject.environment and data.environment not in (None, subject.environment):
        detail = f"The key is a {subject.environment} key - at `$.data.environment`"
        return Refusal(position, "invalid", detail, event.id)
    if event.time > now + AHEAD:
        return Refusal(position, "in_future", "Expected a time that has come - at `$.time`", event.id)
    at = max(event.time, OLDEST).astimezone(UTC)
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


def _result(position: int, event: ExternalEvent, verdict: Verdict) -> MeteringResult:
    if verdict is Verdict.CONFLICT:
        detail = "Another content was counted under this source and id - at `$.id`"
        return Refusal(position, "conflict", detail, event.event_id)
    return MeteringAccepted(position, event.event_id, verdict.value, event.request_id)
