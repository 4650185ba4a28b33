"""A portal that answers on a port of its own, and an account in it that has something to show."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

from portal import accounts, keys
from portal.accounts.sessions.sign_in import Credentials
from portal.core.actor import SYSTEM, Actor, Role
from portal.core.clock import to_microseconds
from portal.core.database import Database
from portal.core.ids import AccountId, encode_128, new_id
from portal.core.settings import load_settings
from portal.runtime import listen, open_container, open_web, running_server, url_of
from portal.usage import UsageRecord, encode_batch, ingest_usage
from tests.billing.account import an_invoice
from tests.throttle import Unlimited
from web.app import create_app

PASSWORD = "correct horse battery"
ENDPOINTS = ("GET /v1/search", "POST /v1/orders", "GET /v1/catalog", "GET /v1/items/{id}", "DELETE /v1/orders/{id}")
DAYS = 60


@dataclass(frozen=True, slots=True)
class RunningPortal:
    url: str
    database: Database


@dataclass(frozen=True, slots=True)
class Login:
    email: str
    actor: Actor


@asynccontextmanager
async def running_portal(
    database_url: str, redis_urls: list[str], data: Path, **others: Any
) -> AsyncIterator[RunningPortal]:
    """On migrated servers, in this event loop."""
    sock = listen("127.0.0.1", 0)
    named = {"base_url": url_of(sock), "product_name": "Acme API", **others}
    settings = load_settings(database_url=database_url, redis_urls=redis_urls, data=data, **named)
    async with (
        open_container(settings) as parts,
        open_web(parts) as services,
        running_server(create_app(services), sock),
    ):
        yield RunningPortal(settings.base_url, parts.database)


async def new_login(database: Database, name: str = "Northwind Labs") -> Login:
    """A person with an account of their own; the password is PASSWORD."""
    email = f"ann.{new_id('t')[-8:].lower()}@northwind.example"
    async with database.transaction() as tx:
        person, account = await accounts.sign_up(tx, accounts.NewAccount(email, PASSWORD, "Ann Lee", name))
    return Login(email, Actor("person", person.id, AccountId(account.id), role=Role.OWNER))


async def new_session(database: Database, login: Login) -> str:
    """What the session cookie holds."""
    signed_in = await accounts.sign_in(database, Credentials(login.email, PASSWORD), Unlimited())
    return signed_in.token


async def fill(database: Database, login: Login) -> dict[str, str]:
    """Six keys in every state, two months of usage, an invoice. Name → id of each key, and of the `invoice`."""
    actor = login.actor
    made: dict[str, keys.CreatedKey] = {}
    async with database.transaction(actor.account_id) as tx:
        for new in (
            keys.NewKey("Old staging", "test", ["search:read"]),
            keys.NewKey("CI", "test", ["*"]),
            keys.NewKey("Partner sandbox with a rather long name", "live", [], ["203.0.113.0/24"]),
            keys.NewKey("Mobile app", "live", ["search:read"], expires_at=tx.now + timedelta(days=120)),
            keys.NewKey("Nightly import", "live", ["catalog:*"]),
            keys.NewKey(
                "Checkout production", "live", ["orders:*", "search:read"], ["198.51.100.0/24", "2001:db8::/32"]
            ),
        ):
            made[new.name] = await keys.create_key(tx, actor, new)
    async with database.transaction(actor.account_id) as tx:
        await keys.pause_key(tx, actor, made["Old staging"].key.id)
        await keys.revoke_key(tx, actor, made["Partner sandbox with a rather long name"].key.id, "Contract ended")
        await keys.rotate_key(tx, actor, made["Mobile app"].key.id, timedelta(hours=24))
        changes = keys.KeyChanges(expires_at=tx.now + timedelta(days=3))
        await keys.update_key(tx, actor, made["Checkout production"].key.id, changes)
        launch = keys.NewOverride(
            "burst", 250, 1000, "Launch of the spring collection", expires_at=tx.now + timedelta(days=9)
        )
        staff = replace(actor, id="usr_staff", is_staff=True)
        await keys.override_key_limit(tx, staff, made["Checkout production"].key.id, launch)
    await _furnish(database, actor)
    for name, share in (("Checkout production", 60), ("Nightly import", 25), ("Mobile app", 12), ("CI", 3)):
        await _use(database, actor, made[name].key, share)
    invoice_id = await an_invoice(database, actor.account_id)
    return {name: created.key.id for name, created in made.items()} | {"invoice": invoice_id}


async def _furnish(database: Database, actor: Actor) -> None:
    """Tokens, members, a second account to switch to, staff's pages."""
    async with database.transaction() as tx:
        scopes = ["keys:read", "usage:read"]
        await accounts.create_personal_token(tx, actor, "Deploys", tx.now + timedelta(days=80), scopes)
        old = await accounts.create_personal_token(tx, actor, "Old laptop")
        await accounts.revoke_personal_token(tx, actor, old.row.id)
        await accounts.create_service_token(tx, SYSTEM, "edge-frankfurt")
        person = await accounts.find_person(tx, actor.id)
        assert person is not None
        person.is_staff = True
        other = accounts.NewAccount(f"{new_id('t').lower()}@example.com", PASSWORD, "Eve", "Northwind Sandbox")
        _, account = await accounts.sign_up(tx, other, password_hash="nobody signs in")
        await tx.insert(
            accounts.Membership(account_id=account.id, person_id=actor.id, role="developer", created_at=tx.now)
        )


async def _use(database: Database, actor: Actor, key: keys.Key, daily: int) -> None:
    rng = Random(key.name)  # noqa: S311  # repeatable, not secret
    async with database.transaction(actor.account_id) as tx:
        (secret, *_), now = await keys.list_secrets(tx, actor.account_id, [key.id]), tx.now
    records: list[UsageRecord] = []
    for hour in range(DAYS * 24):
        at = now - timedelta(hours=hour, minutes=2)
        busy = 1.6 if 8 <= at.hour < 18 else 0.5
        count = round(daily * busy * (0.35 if at.weekday() >= 5 else 1.1) * rng.uniform(0.7, 1.3) / 10)
        for number in range(count):
            code = (
                "VALID" if rng.random() > 0.03 else rng.choice(("RATE_LIMITED", "RATE_LIMITED", "INSUFFICIENT_SCOPE"))
            )
            identity = to_microseconds(at) << 72 | rng.getrandbits(40) << 32 | number
            endpoint = rng.choices(ENDPOINTS, (46, 20, 17, 12, 5))[0]
            records.append(
                UsageRecord(
                    f"req_{encode_128(identity)}",
                    *(actor.account_id, key.id, secret.id, key.environment, endpoint, code),
                    *(1, f"{at:%Y-%m}", f"203.0.113.{rng.randrange(1, 255)}"),
                )
            )
    await ingest_usage(database, encode_batch(records))
