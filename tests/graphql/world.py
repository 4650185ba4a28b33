"""Two accounts with one of everything, and callers of every role: what the authorization matrix is tried on."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from secrets import randbits
from typing import Any

from portal import accounts, audit, keys, plans
from portal.accounts.sessions.sign_in import Credentials, open_session
from portal.core.actor import ANONYMOUS, SYSTEM, Actor, Role
from portal.core.clock import utc_now
from portal.core.database import Database
from portal.core.ids import AccountId, new_id
from portal.usage import encode_batch, ingest_usage
from tests.billing.account import an_invoice
from tests.usage.sample import record

CALLERS = (*[role.value for role in Role], "staff", "anonymous")


@dataclass(frozen=True, slots=True)
class Tenant:
    """An account and the actor who owns it."""

    owner: Actor


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody in the own account; `person` is None for nobody."""

    name: str
    actor: Actor
    person: accounts.Person | None


async def new_tenant(database: Database) -> Tenant:
    email = f"{new_id('t').lower()}@example.com"
    async with database.transaction() as tx:
        new = accounts.NewAccount(email, "correct horse battery", "Ann", "Acme")
        person, account = await accounts.sign_up(tx, new, password_hash="not used")
    return Tenant(Actor("person", person.id, AccountId(account.id), role=Role.OWNER))


async def new_caller(database: Database, tenant: Tenant, name: str) -> Caller:
    """With a session of their own, as in a browser. Staff has the least of roles here, so that nothing else helps."""
    if name == "anonymous":
        return Caller(name, ANONYMOUS, None)
    role = Role.VIEWER if name == "staff" else Role(name)
    async with database.transaction() as tx:
        member = accounts.NewMember(f"{new_id('m').lower()}@example.com", "Ben", role)
        person = await accounts.add_member(tx, tenant.owner, member)
        person.is_staff = name == "staff"
        await tx.flush()
        signed_in = await open_session(tx, person, Credentials(person.email, "", "192.0.2.1", "Firefox/1 Linux"))
    actor = Actor("person", person.id, tenant.owner.account_id, role=role, is_staff=person.is_staff)
    return Caller(name, replace(actor, credential=signed_in.session.id), person)


async def new_key(database: Database, tenant: Tenant) -> str:
    async with database.transaction(actor=tenant.owner) as tx:
        return (await keys.create_key(tx, tenant.owner, keys.NewKey("Search"))).key.id


async def new_plan(database: Database) -> str:
    async with database.transaction() as tx:
        return next(plan.id for plan in await plans.list_plans(tx) if plan.slug == "enterprise")


async def upgrade(database: Database, actor: Actor) -> None:
    """Let the account have an upgrade of today, which can be undone or be made a downgrade."""
    plan_id = await new_plan(database)
    async with database.transaction() as tx:
        await plans.subscribe(tx, actor, plan_id)


async def plan_to_retire(database: Database) -> str:
    async with database.transaction() as tx:
        document = {"slug": new_id("p").lower().replace("_", "-"), "name": "Old", "visibility": "staff"}
        return (await plans.create_plan(tx, SYSTEM, document)).id


async def new_personal_token(database: Database, actor: Actor) -> str:
    async with database.transaction(actor=actor) as tx:
        return (await accounts.create_personal_token(tx, replace(actor, scopes=None), "script")).row.id


async def new_session(database: Database, person_id: str) -> str:
    async with database.transaction() as tx:
        person = await accounts.find_person(tx, person_id)
        assert person is not None
        return (await open_session(tx, person, Credentials(person.email, ""))).session.id


async def new_service_token(database: Database) -> str:
    async with database.transaction() as tx:
        return (await accounts.create_service_token(tx, SYSTEM, "gateway")).row.id


async def newest_event(database: Database, tenant: Tenant) -> str:
    """The id as the API writes it."""
    account_id = tenant.owner.account_id
    async with database.transaction() as tx:
        (row, *_) = await audit.list_newest(tx, account_id, audit.AuditFilter(), most=1)
    return f"aud_{account_id.partition('_')[2]}{row.sequence}"


MakeId = Callable[[Database, Tenant, Caller], Awaitable[str]]


async def _key(database: Database, tenant: Tenant, caller: Caller) -> str:
    return await new_key(database, tenant)


async def _plan(database: Database, tenant: Tenant, caller: Caller) -> str:
    return await new_plan(database)


async def _account(database: Database, tenant: Tenant, caller: Caller) -> str:
    return tenant.owner.account_id


async def _person(database: Database, tenant: Tenant, caller: Caller) -> str:
    return tenant.owner.id


async def _event(database: Database, tenant: Tenant, caller: Caller) -> str:
    return await newest_event(database, tenant)


async def _own_or_owners_token(database: Database, tenant: Tenant, caller: Caller) -> str:
    is_own = caller.person is not None and caller.actor.account_id == tenant.owner.account_id
    return await new_personal_token(database, caller.actor if is_own else tenant.owner)


async def _own_or_owners_session(database: Database, tenant: Tenant, caller: Caller) -> str:
    is_own = caller.person is not None and caller.actor.account_id == tenant.owner.account_id
    return await new_session(database, caller.actor.id if is_own else tenant.owner.id)


async def _service_token(database: Database, tenant: Tenant, caller: Caller) -> str:
    return await new_service_token(database)


async def _request(database: Database, tenant: Tenant, caller: Caller) -> str:
    counted = record(randbits(32), utc_now(), account_id=tenant.owner.account_id)
    await ingest_usage(database, encode_batch([counted]))
    return counted.request_id


async def _invoice(database: Database, tenant: Tenant, caller: Caller) -> str:
    return await an_invoice(database, tenant.owner.account_id)


MAKE_ID: dict[str, MakeId] = {
    "Key": _key,
    "Plan": _plan,
    "Account": _account,
    "Person": _person,
    "AuditEvent": _event,
    "PersonalToken": _own_or_owners_token,
    "Session": _own_or_owners_session,
    "ServiceToken": _service_token,
    "UsageRequest": _request,
    "Invoice": _invoice,
}
"""How to get an object of a node type that the caller may have in the tenant's account."""

OF_ALL = frozenset({"Plan", "ServiceToken"})
"""Types that belong to the provider: the same for every account."""

Arguments = dict[str, Any]
