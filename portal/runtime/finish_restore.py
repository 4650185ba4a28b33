"""After PostgreSQL was restored: bring it to what Redis still knows, account by account, and say what nobody knows."""

from dataclasses import dataclass, field

from portal.accounts import list_policy_versions, list_service_tokens, revoke_service_token
from portal.check import RestoredDatabase, SharedTokens
from portal.core.actor import SYSTEM
from portal.limits import AccountRecords
from portal.runtime.container import Container

MAX_TOKENS = 10_000


@dataclass(slots=True)
class RestoreReport:
    """What `finish_restore` found. `unknown_…`: Redis knows them and PostgreSQL does not; they must be made anew."""

    accounts: int = 0
    healed: int = 0
    changed: dict[str, list[str]] = field(default_factory=dict)
    """By account: the keys (and secrets' keys) that were revoked, paused, ended or narrowed again."""
    revoked_tokens: list[str] = field(default_factory=list)
    unknown_accounts: list[str] = field(default_factory=list)
    unknown_keys: dict[str, list[str]] = field(default_factory=dict)
    unknown_tokens: list[str] = field(default_factory=list)


async def finish_restore(container: Container) -> RestoreReport:
    """Heal every account that Redis knows, and have its counters taken from PostgreSQL again. May be repeated.

    Raises LimitsUnavailable when a shard does not answer, and what PostgreSQL raises: then run it again.
    """
    report = RestoreReport()
    records, restored = AccountRecords(container.limiter), RestoredDatabase(container.database, container.limiter)
    async for ids in records.list_accounts():
        async with container.database.transaction() as tx:
            known = {account_id for account_id, _ in await list_policy_versions(tx, ids)}
        for account_id in ids:
            report.accounts += 1
            if account_id in known:
                await _finish_account(restored, report, account_id)
                await records.reseed(account_id)
            else:
                report.unknown_accounts.append(account_id)
    await _finish_tokens(container, report)
    return report


async def _finish_account(restored: RestoredDatabase, report: RestoreReport, account_id: str) -> None:
    healed = await restored.heal(account_id)
    if healed is None:
        return
    report.healed += healed.version != healed.before
    if healed.changed:
        report.changed[account_id] = sorted({*healed.changed})
    if healed.missing:
        report.unknown_keys[account_id] = healed.missing


async def _finish_tokens(container: Container, report: RestoreReport) -> None:
    shared = SharedTokens(container.limiter)
    revoked, all_tokens = await shared.list_revoked(), await shared.list_all()
    async with container.database.transaction() as tx:
        rows = await list_service_tokens(tx, most=MAX_TOKENS)
        for row in rows:
            if row.revoked_at is None and row.token_digest in revoked:
                await revoke_service_token(tx, SYSTEM, row.id)
                report.revoked_tokens.append(row.id)
    stored = {row.token_digest for row in rows}
    report.unknown_tokens = sorted({id_ for digest, id_ in all_tokens.items() if digest not in stored | revoked})
