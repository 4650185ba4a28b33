"""PostgreSQL restored to a time before: nothing that was taken away since verifies again, and nothing else stops."""

import asyncio
import os
import random
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import TypeVar

import pytest
from sqlalchemy import text

from portal import accounts, audit, keys, plans
from portal.check import Checker, CheckRequest, CheckUnavailable
from portal.core.actor import SYSTEM, Actor, Role
from portal.core.database import Database, Tx
from portal.core.embedded import EmbeddedServices, start_services
from portal.core.errors import Conflict
from portal.core.ids import AccountId, new_id
from portal.runtime import Container, finish_restore, open_container, open_web, prepare_database
from tests.conftest import settings_for
from tests.faults.tools.report import Report, sized

Made = TypeVar("Made")
ACCOUNTS, KEYS, CHANGES = sized(3, 20), 6, sized(24, 400)
SEEDS = sized([1], [1, 2, 3, 4])
HOW = ["revoke", "pause", "resume", "rename", "rotate", "rotate", "confine"]
READ_ONLY = "ALTER DATABASE portal SET default_transaction_read_only = on"
WRITABLE = "SET default_transaction_read_only = off; ALTER DATABASE portal RESET default_transaction_read_only"


@dataclass
class Site:
    """Services of its own, whose PostgreSQL can be put back to a copy, as a file-level backup of a stopped cluster."""

    services: EmbeddedServices
    data: Path
    parts: Container
    keys: dict[str, tuple[Actor, str]] = field(default_factory=dict)
    """By secret: its owner and its key's id."""

    async def back_up(self) -> None:
        await self._copy("postgres", "backup")

    async def restore(self) -> None:
        await self._copy("backup", "postgres")

    async def _copy(self, source: str, target: str) -> None:
        await self.services.stop_postgres()
        owner = (self.data / source).stat()
        shutil.rmtree(self.data / target, ignore_errors=True)
        shutil.copytree(self.data / source, self.data / target, symlinks=True)
        for path in [self.data / target, *(self.data / target).rglob("*")]:
            os.chown(path, owner.st_uid, owner.st_gid)
        await self.services.start_postgres()
        await self.parts.database.engine.dispose()

    async def make_account(self) -> Actor:
        async with self.parts.database.transaction() as tx:
            new = accounts.NewAccount(f"{new_id('t').lower()}@example.com", "correct horse battery", "Ann", "Acme")
            _, account = await accounts.sign_up(tx, new)
            plan = plans.Plan(
                id=new_id("plan"), slug=new_id("p").lower(), name="P", price=Decimal(0), limits=[], created_at=tx.now
            )
            await tx.insert(plan)
            await plans.subscribe(tx, Actor("system", SYSTEM.id, AccountId(account.id)), plan.id)
        return Actor("person", SYSTEM.id, AccountId(account.id), role=Role.OWNER)

    async def make_key(self, owner: Actor) -> str:
        created = await self._run(owner, lambda tx: keys.create_key(tx, owner, keys.NewKey(name="one")))
        self.keys[created.secret] = (owner, created.key.id)
        return created.secret

    async def change(self, secret: str, how: str) -> None:
        owner, key_id = self.keys[secret]
        if how == "revoke":
            await self._run(owner, lambda tx: keys.revoke_key(tx, owner, key_id))
        elif how == "pause":
            await self._run(owner, lambda tx: keys.pause_key(tx, owner, key_id))
        elif how == "resume":
            await self._run(owner, lambda tx: keys.resume_key(tx, owner, key_id))
        elif how == "rename":
            await self._run(owner, lambda tx: keys.update_key(tx, owner, key_id, keys.KeyChanges(name=new_id("n"))))
        elif how == "confine":
            changes = keys.KeyChanges(allowed_ips=["192.0.2.0/24"])
            await self._run(owner, lambda tx: keys.update_key(tx, owner, key_id, changes))
        else:
            rotated = await self._run(owner, lambda tx: keys.rotate_key(tx, owner, key_id, timedelta(0)))
            self.keys[rotated.secret] = (owner, key_id)

    async def _run(self, owner: Actor, verb: Callable[[Tx], Awaitable[Made]]) -> Made:
        async with self.parts.database.transaction(owner.account_id) as tx:
            return await verb(tx)

    async def codes(self, folder: Path, secrets: list[str]) -> dict[str, str]:
        """What a process that has just started answers, twice for each; the second answer must be the first."""
        settings = settings_for(self.services, folder)
        async with open_container(settings) as parts, open_web(parts) as services:
            shard = parts.limiter.shard_of("")
            for name in await shard.connection.call("KEYS", "policy:*"):
                await shard.connection.call("DEL", name)
            told = {}
            for secret in secrets:
                first, second = [await _code(services.checker, secret) for _ in range(2)]
                assert first == second
                told[secret] = first
            return told


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with open_site(tmp_path) as made:
        yield made


@asynccontextmanager
async def open_site(folder: Path) -> AsyncIterator[Site]:
    data = folder / "data"
    services = await start_services(data, durable=False)
    try:
        await prepare_database(services.database_url)
        async with open_container(settings_for(services, folder / "parts")) as parts:
            yield Site(services, data, parts)
    finally:
        await services.stop()


async def _code(checker: Checker, secret: str) -> str:
    try:
        outcome = await checker.check("svc_test", CheckRequest(key=secret, ip="203.0.113.7"))
    except CheckUnavailable:
        return "503"
    return str(outcome.response.code)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("afterwards", ["nothing", "changes", "read-only"])
async def test_what_was_taken_away_since_the_backup_stays_taken_away(
    site: Site, tmp_path: Path, report: Report, afterwards: str, seed: int
) -> None:
    """`afterwards`: what happens between the restore and the first check; changes may overtake Redis's versions."""
    chance = random.Random(seed)  # noqa: S311 no secret
    owners = [await site.make_account() for _ in range(ACCOUNTS)]
    for owner in owners:
        for _ in range(KEYS):
            await site.make_key(owner)
    await site.change(next(iter(site.keys)), "pause")
    at_backup = await site.codes(tmp_path / "a", [*site.keys])
    await site.back_up()
    await _change_at_random(site, chance)
    before = await site.codes(tmp_path / "b", [*site.keys])
    await site.restore()
    plain = next(secret for secret, code in at_backup.items() if code == before[secret] == "VALID")
    if afterwards == "changes":
        await _rename_often(site, chance, [*at_backup])
    if afterwards == "read-only":
        await _as_owner(site, READ_ONLY)
    after = await site.codes(tmp_path / "c", [*at_backup])
    taken = [secret for secret in at_backup if before[secret] != "VALID"]
    report.tell(f"restored, then {afterwards}", f"{len(taken)} of {len(at_backup)} were taken away, 0 valid again")
    assert taken
    assert {secret for secret in taken if after[secret] == "VALID"} == set()
    assert {secret: after[secret] for secret in at_backup if at_backup[secret] == before[secret] == "VALID"} == {
        secret: "VALID" for secret in at_backup if at_backup[secret] == before[secret] == "VALID"
    }
    assert "503" not in after.values()
    if afterwards == "read-only":
        await _as_owner(site, WRITABLE)
    told = await finish_restore(site.parts)
    assert {key_id for ids in told.unknown_keys.values() for key_id in ids if key_id.startswith("key_")} == set()
    assert (await finish_restore(site.parts)).changed == {}
    healed = await site.codes(tmp_path / "d", [*at_backup])
    assert healed == after
    assert healed[plain] == "VALID"
    async with site.parts.database.snapshot() as tx:
        for owner in owners:
            assert await _versions_agree(site, tx, owner)


async def _change_at_random(site: Site, chance: random.Random) -> None:
    for _ in range(CHANGES):
        with suppress(Conflict):  # of a key that is revoked already
            await site.change(chance.choice([*site.keys]), chance.choice(HOW))


async def _rename_often(site: Site, chance: random.Random, secrets: list[str]) -> None:
    """Until versions of the restored database have overtaken some of Redis's."""
    for secret in secrets:
        with suppress(Conflict):
            for _ in range(chance.randrange(1, CHANGES // 4)):
                await site.change(secret, "rename")


async def _versions_agree(site: Site, tx: Tx, owner: Actor) -> bool:
    ((_, version),) = await accounts.list_policy_versions(tx, [owner.account_id])
    shard = site.parts.limiter.shard_of(owner.account_id)
    return int(await shard.connection.call("HGET", f"account:{owner.account_id}", "version")) == version


@pytest.mark.parametrize("whose", sized(["same"], ["other", "same"]))
async def test_changes_that_come_together_after_a_restore_hide_nothing(
    site: Site, tmp_path: Path, report: Report, whose: str
) -> None:
    """An account each for so many lost changes and so many first changes at once, which catch up with the versions.

    `whose`: those of other keys, or of the very keys whose changes are lost.
    """
    accounts_of = [(lost, at_once) for lost in (1, 2, 3) for at_once in (1, 2, 4, 8)]
    owners = {case: await site.make_account() for case in accounts_of}
    made = {case: [await site.make_key(owner) for _ in range(5)] for case, owner in owners.items()}
    secrets = [secret for of_account in made.values() for secret in of_account]
    assert set((await site.codes(tmp_path / "a", secrets)).values()) == {"VALID"}
    await site.back_up()
    for (lost, _), of_account in made.items():
        for secret, how in zip(of_account[:lost], ("revoke", "pause", "confine"), strict=False):
            await site.change(secret, how)
    await site.restore()

    async def all_at_once(case: tuple[int, int]) -> None:
        first, count = (3, 2) if whose == "other" else (0, case[0])
        changes = [site.change(made[case][first + number % count], "rename") for number in range(case[1])]
        await asyncio.gather(*changes, return_exceptions=True)  # of a key that is revoked again already

    await asyncio.gather(*map(all_at_once, accounts_of))
    await site.parts.changes._tasks.wait()  # a heal that the burst kept from PostgreSQL is repeated
    after = await site.codes(tmp_path / "b", secrets)
    taken = [secret for case, of_account in made.items() for secret in of_account[: case[0]]]
    valid = {case: [after[secret] for secret in made[case][: case[0]]].count("VALID") for case in accounts_of}
    report.tell("restored, then changes at once", f"{len(taken)} taken away, valid again: {sum(valid.values())}")
    assert {case for case, count in valid.items() if count} == set()
    assert {after[secret] for secret in secrets if secret not in taken} == {"VALID"}


async def test_a_suspension_a_service_token_and_a_key_made_since(site: Site, tmp_path: Path) -> None:
    owner = await site.make_account()
    secret = await site.make_key(owner)
    async with site.parts.database.transaction() as tx:
        token = await accounts.create_service_token(tx, SYSTEM, "gateway")
    assert await site.codes(tmp_path / "a", [secret]) == {secret: "VALID"}
    await site.back_up()
    later = await site.make_key(owner)
    async with site.parts.database.transaction() as tx:
        suspended = {str(owner.account_id): {"suspended": True}}
        await accounts.bump_policy_version(tx, owner.account_id, suspended)
        await tx.execute(text("UPDATE accounts SET suspended_at = now() WHERE id = :id"), {"id": owner.account_id})
        await accounts.revoke_service_token(tx, SYSTEM, token.row.id)
    assert await site.codes(tmp_path / "b", [secret]) == {secret: "ACCOUNT_SUSPENDED"}
    await site.restore()
    assert await site.codes(tmp_path / "c", [secret]) == {secret: "ACCOUNT_SUSPENDED"}
    settings = settings_for(site.services, tmp_path / "d")
    async with open_container(settings) as parts, open_web(parts) as services:
        assert await services.tokens.identify(token.token) is None
    told = await finish_restore(site.parts)
    _, key_id = site.keys[later]
    assert key_id in told.unknown_keys[owner.account_id]
    assert await site.codes(tmp_path / "e", [secret]) == {secret: "ACCOUNT_SUSPENDED"}
    async with site.parts.database.transaction() as tx:
        assert await accounts.authenticate_service(tx, token.token) is None


async def test_changes_that_overtake_one_another_are_no_restore(site: Site) -> None:
    """Only the order of the writes to Redis differs: nothing is healed, no version is skipped."""
    owner = await site.make_account()
    await site.make_key(owner)
    raise_version, account_id = site.parts.limiter.raise_policy_version, owner.account_id
    version = await _version(site.parts.database, owner)
    assert await raise_version(account_id, version + 2, "third") == 0
    assert await raise_version(account_id, version + 1, "second") == version + 2
    assert await raise_version(account_id, version + 2, "third") == 0
    assert await raise_version(account_id, version + 1, "second") == version + 2
    assert await raise_version(account_id, version + 1, "another") == -version - 2
    assert await raise_version(account_id, version + 2, "another") == -version - 2
    for number in range(3, 400):
        assert await raise_version(account_id, version + number, f"{number:016x}") == 0
    assert await raise_version(account_id, version + 399, "another") == -version - 399
    assert await raise_version(account_id, version + 300, "another") == -version - 399
    assert await raise_version(account_id, version + 1, "forgotten") == version + 399
    record = site.parts.limiter.shard_of(account_id).connection
    assert len(await record.call("HGET", f"account:{account_id}", "changes")) <= 4200


async def _version(database: Database, owner: Actor) -> int:
    async with database.transaction() as tx:
        return (await accounts.list_policy_versions(tx, [owner.account_id]))[0][1]


async def _as_owner(site: Site, statement: str) -> None:
    async with site.parts.database.owner_connection() as connection:
        for part in statement.split(";"):
            await connection.execute(text(part))
    await site.parts.database.engine.dispose()


def test_reapplying_is_an_action_that_is_shown() -> None:
    assert audit.find_action("key.reapply") is not None
