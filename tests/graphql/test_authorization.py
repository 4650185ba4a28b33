"""The authorization matrix: every query field, mutation, subscription and node type × role × own or another account.

Generated from the schema and held to the committed tables of docs/guides/roles.md, so that a weaker right shows in a
diff: a new operation without a line there fails here.
Another account's object is answered exactly like one that does not exist.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from graphql import (
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLObjectType,
    GraphQLSchema,
    build_schema,
    get_named_type,
    is_leaf_type,
    is_required_argument,
)
from sqlalchemy import text

from portal import accounts, keys, plans
from portal.core.actor import Actor, Permission, requirement_of
from portal.core.database import Database
from portal.core.embedded import EmbeddedServices
from portal.core.ids import new_id
from portal.graphql import Options, Result, SubscriptionContext, execute, open_stream, schema, sdl
from portal.graphql.engine.resolvers import mutation
from portal.graphql.live import Publisher, SubscriptionHub
from portal.graphql.roles_page import requirements
from portal.limits import Limiter
from tests.graphql.world import (
    CALLERS,
    MAKE_ID,
    OF_ALL,
    Arguments,
    Caller,
    Tenant,
    new_caller,
    new_tenant,
    plan_to_retire,
    upgrade,
)
from tests.matrix import count_cells, expect_cells

SCHEMA: GraphQLSchema = build_schema(sdl())
assert SCHEMA.query_type is not None
assert SCHEMA.mutation_type is not None
assert SCHEMA.subscription_type is not None
SUBSCRIPTIONS = SCHEMA.subscription_type.fields
QUERIES, MUTATIONS = SCHEMA.query_type.fields, SCHEMA.mutation_type.fields
NODE: Any = SCHEMA.type_map["Node"]
NODES = sorted(kind.name for kind in SCHEMA.get_implementations(NODE).objects)

CELLS = (len(QUERIES) + len(MUTATIONS) + len(SUBSCRIPTIONS) + len(NODES)) * len(CALLERS) * 2
expect_cells(CELLS)

ROLES_PAGE = Path(__file__).parents[2] / "docs" / "guides" / "roles.md"


def read_rights() -> dict[str, frozenset[str]]:
    """The callers that may, by operation, as the page on roles says. Staff may besides what its role may."""
    _, table = ROLES_PAGE.read_text().split("## What each operation requires\n")
    head, _, *rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.strip().splitlines()]
    rights = {}
    for name, _, *marks in rows:
        callers = {caller for caller, mark in zip(head[2:], marks, strict=True) if mark == "yes"}
        rights[name.strip("`")] = frozenset(callers | ({"staff"} if "viewer" in callers else set()))
    return rights


RIGHTS = read_rights()
NAMES = {
    "invoice": "Invoice",
    "key": "Key",
    "request": "UsageRequest",
    "updateKey": "Key",
    "pauseKey": "Key",
    "resumeKey": "Key",
    "revokeKey": "Key",
    "rotateKey": "Key",
    "overrideKeyLimit": "Key",
    "clearKeyOverride": "Key",
    "subscribe": "Plan",
    "moveAccount": "Plan",
    "previewPlanChange": "Plan",
    "addPlanVersion": "Plan",
    "retirePlan": "Plan",
    "switchAccount": "Account",
    "revokeSession": "Session",
    "revokePersonalToken": "PersonalToken",
    "revokeServiceToken": "ServiceToken",
}
"""Operations that name an object, and of which type it is."""
ANSWERS = {"previewPlanChange": "PlanChangePreview"}
"""Queries that name an object of one type and answer with another."""
ACROSS = frozenset({"overrideKeyLimit", "clearKeyOverride", "moveAccount"})
"""What staff does in the account that they name, whichever it is."""
INPUTS: dict[str, Any] = {"String": "burst", "BigInt": 1000, "DateTime": "2026-11-01T00:00:00Z", "Int": 1, "ID": "none"}

NAMED = {"to": "2026-11-02T00:00:00Z", "timeZone": "Asia/Tokyo"}
"""Arguments for which not any value will do."""

PATIENT = Options(timeout_seconds=30)
"""A busy machine is no denial."""


def arguments_of(field: GraphQLField, object_id: str | None, account_id: str | None = None) -> Arguments:
    """What is required, and the id of the object that the operation names; for staff, its account's too."""
    ids = {"id": object_id} | ({"accountId": account_id} if account_id else {})
    given: Arguments = {}
    for name, argument in field.args.items():
        kind = get_named_type(argument.type)
        if isinstance(kind, GraphQLInputObjectType) and is_required_argument(argument):
            given[name] = {
                part: ids.get(part) or INPUTS[get_named_type(one.type).name]
                for part, one in kind.fields.items()
                if is_required_argument(one)
            }
        elif kind.name == "ID" and object_id is not None and name != "currentSecretId":
            given[name] = ids.get(name) or object_id
        elif is_required_argument(argument):
            given[name] = NAMED.get(name) or INPUTS[kind.name]
    return given


def document_of(kind: str, name: str, field: GraphQLField, selection: str) -> str:
    given = arguments_of(field, "some")
    declared = ", ".join(f"${each}: {field.args[each].type}" for each in given)
    passed = ", ".join(f"{each}: ${each}" for each in given)
    head = f"{kind} Tried({declared})" if declared else kind
    return f"{head} {{ {name}{f'({passed})' if passed else ''} {selection} }}"


def leaves(kind: Any, depth: int = 2) -> str:
    """Every field of the answer that takes no argument, a few levels deep."""
    named = get_named_type(kind)
    if is_leaf_type(named):
        return ""
    if not isinstance(named, GraphQLObjectType):
        return "{ __typename ... on Node { id } ... on Problem { code message path } }"
    parts = ["__typename"]
    for name, field in named.fields.items():
        if any(is_required_argument(argument) for argument in field.args.values()):
            continue
        if is_leaf_type(get_named_type(field.type)):
            parts.append(name)
        elif depth and name not in ("edges", "pageInfo"):
            parts.append(f"{name} {leaves(field.type, depth - 1)}")
    return f"{{ {' '.join(parts)} }}"


@pytest.fixture(scope="module")
async def own(database: Database) -> Tenant:
    return await new_tenant(database)


@pytest.fixture(scope="module")
async def other(database: Database) -> Tenant:
    return await new_tenant(database)


@pytest.fixture(scope="module")
async def callers(database: Database, own: Tenant) -> dict[str, Caller]:
    return {name: await new_caller(database, own, name) for name in CALLERS}


async def run(database: Database, caller: Caller, document: str, variables: Arguments) -> Result:
    return await execute(database, caller.actor, caller.person, document, variables, PATIENT)


def outcome(result: Result, name: str) -> str:
    """UNAUTHENTICATED, FORBIDDEN, NOT_FOUND and the like, or OK."""
    if result.errors:
        return str((result.errors[0].extensions or {}).get("code"))
    assert result.data is not None
    answer = result.data[name]
    return str(answer["code"]) if isinstance(answer, dict) and "code" in answer else "OK"


def expected(caller: Caller, operation: str) -> str:
    if caller.name == "anonymous":
        return "UNAUTHENTICATED"
    return "OK" if caller.name in RIGHTS[operation] else "FORBIDDEN"


def test_every_operation_has_its_expectation() -> None:
    fields = {"Query": QUERIES, "Mutation": MUTATIONS, "Live": SUBSCRIPTIONS}
    operations = {f"{root}.{name}" for root, found in fields.items() for name in found}
    nodes = {f"node: {name}" for name in NODES}
    assert operations | nodes <= set(RIGHTS), "put @requires at the field, and write docs/guides/roles.md anew"
    assert {name for name in RIGHTS if name.partition(" ")[0] in ("node:", "verb:")} == nodes | {
        "verb: add_member",
        "verb: set_tariff",
        "verb: start_export",
    }
    assert set(NODES) == set(MAKE_ID), "say how an object of the new type is made"
    named = {
        name
        for name, field in {**QUERIES, **MUTATIONS}.items()
        for argument in [*field.args.values()]
        if get_named_type(argument.type).name == "ID" or "id" in getattr(get_named_type(argument.type), "fields", {})
    }
    assert named - {"node", "viewer"} == set(NAMES), "say of which type the object is that the operation names"


@pytest.mark.parametrize("name", QUERIES)
async def test_query(database: Database, own: Tenant, other: Tenant, callers: dict[str, Caller], name: str) -> None:
    field = QUERIES[name]
    document = document_of("query", name, field, "{ __typename }")
    for caller in callers.values():
        for tenant in (own, other):
            kind = NAMES.get(name, "Key" if name == "node" else None)
            object_id = await MAKE_ID[kind](database, tenant, caller) if kind else None
            result = await run(database, caller, document, arguments_of(field, object_id))
            wanted = expected(caller, "node: Key" if name == "node" else f"Query.{name}")
            assert outcome(result, name) == wanted, (name, caller.name)
            if kind and wanted == "OK":
                answer = {"__typename": ANSWERS.get(name, kind)}
                assert (result.data or {})[name] == (answer if tenant is own or kind in OF_ALL else None)
            count_cells(1)


@pytest.mark.parametrize("name", sorted(set(QUERIES) - {"node", "key", "request", "invoice"}))
async def test_no_list_holds_anything_of_another_account(
    database: Database, own: Tenant, other: Tenant, callers: dict[str, Caller], name: str
) -> None:
    """The whole answer, with everything of the other account there to be found."""
    theirs = [await make(database, other, callers["owner"]) for kind, make in MAKE_ID.items() if kind not in OF_ALL]
    document = document_of("query", name, QUERIES[name], leaves(QUERIES[name].type))
    for caller in callers.values():
        result = await run(database, caller, document, arguments_of(QUERIES[name], None))
        text = repr(result.to_json())
        assert [each for each in theirs if each in text or each.partition("_")[2] in text] == []


@pytest.mark.parametrize("name", MUTATIONS)
async def test_mutation(database: Database, own: Tenant, other: Tenant, name: str) -> None:
    field, kind = MUTATIONS[name], NAMES.get(name)
    document = document_of("mutation", name, field, "{ __typename ... on Problem { code message path } }")
    for role in CALLERS:
        caller = await new_caller(database, own, role)
        wanted = expected(caller, f"Mutation.{name}")
        for tenant in (own, other):
            account_id = tenant.owner.account_id if name in ACROSS else None
            object_id = await MAKE_ID[kind](database, tenant, caller) if kind else None
            given = arguments_of(field, object_id, account_id)
            if name == "retirePlan":
                given["id"] = await plan_to_retire(database)
            if name == "createPlan":
                given["input"]["slug"] = new_id("p").lower().replace("_", "-")
            if name == "undoPlanUpgrade":
                await upgrade(database, own.owner)
            result = await run(database, caller, document, given)
            if tenant is own or kind is None or kind in OF_ALL or name in ACROSS:
                assert outcome(result, name) == wanted, (name, role, result.to_json())
            else:
                none = f"{kind.lower()}_{new_id('x')}"
                missing = await run(database, caller, document, arguments_of(field, none, account_id))
                assert result.to_json() == missing.to_json()
                assert outcome(result, name) == ("NOT_FOUND" if wanted == "OK" else wanted)
            count_cells(1)


async def test_staff_finds_no_key_in_an_account_that_is_not_its_own(
    database: Database, own: Tenant, other: Tenant
) -> None:
    caller = await new_caller(database, own, "staff")
    for name in ACROSS:
        document = document_of("mutation", name, MUTATIONS[name], "{ ... on Problem { code message path } }")
        key_id = await MAKE_ID["Key"](database, other, caller)
        result = await run(database, caller, document, arguments_of(MUTATIONS[name], key_id, own.owner.account_id))
        assert outcome(result, name) == "NOT_FOUND"


@pytest.mark.parametrize("kind", NODES)
async def test_node(database: Database, own: Tenant, other: Tenant, callers: dict[str, Caller], kind: str) -> None:
    """With every field of the type that takes no argument."""
    selection = f"{{ __typename ... on {kind} {leaves(SCHEMA.type_map[kind])} }}"
    document = f"query Tried($id: ID!) {{ node(id: $id) {selection} }}"
    for caller in callers.values():
        wanted = expected(caller, f"node: {kind}")
        for tenant in (own, other):
            object_id = await MAKE_ID[kind](database, tenant, caller)
            result = await run(database, caller, document, {"id": object_id})
            assert outcome(result, "node") == wanted, (kind, caller.name, result.to_json())
            if wanted == "OK" and (tenant is own or kind in OF_ALL):
                assert (result.data or {})["node"]["id"] == object_id
            else:
                missing = await run(database, caller, document, {"id": f"{object_id[:-6]}000000"})
                assert result.to_json() == missing.to_json()
            count_cells(1)


@pytest.fixture(scope="module")
async def limiter(services: EmbeddedServices) -> AsyncIterator[Limiter]:
    limiter = Limiter(services.redis_urls, 1000)
    await limiter.open()
    yield limiter
    await limiter.close()


@pytest.fixture(scope="module")
async def place(database: Database, services: EmbeddedServices, limiter: Limiter) -> AsyncIterator[SubscriptionContext]:
    hub = SubscriptionHub(database, limiter, services.redis_urls)
    hub.open()
    yield SubscriptionContext(database, hub)
    await hub.close()


TOLD = {"usageTicks": "usageTicks { quotaUsed }", "keyChanged": "keyChanged { keyId key { id } }"}
THEIR_USED = 7_654_321


async def first_told(place: SubscriptionContext, caller: Caller, document: str, happen: Any) -> Result:
    """`happen` again and again until something is told: when a subscription listens nobody outside can see."""
    opened = await open_stream(place, (caller.actor, caller.person), document, {}, PATIENT)
    if isinstance(opened, Result):
        return opened
    async with aclosing(opened):
        telling = asyncio.ensure_future(anext(opened))
        while not telling.done():
            await happen()
            await asyncio.wait({telling}, timeout=0.02)
        return telling.result()


@pytest.mark.parametrize("name", SUBSCRIPTIONS)
async def test_subscription(
    place: SubscriptionContext, limiter: Limiter, own: Tenant, other: Tenant, callers: dict[str, Caller], name: str
) -> None:
    """Both accounts have news, the other one first; only the own ones are told."""
    used = "INSERT INTO usage_periods (account_id, period, used) VALUES (:account, to_char(now(), 'YYYY-MM'), :used)"
    async with place.database.transaction() as tx:
        statement = text(f"{used} ON CONFLICT (account_id, period) DO UPDATE SET used = :used")
        await tx.execute(statement, {"account": other.owner.account_id, "used": THEIR_USED})
    publisher = Publisher(limiter)
    ids = [(tenant, await MAKE_ID["Key"](place.database, tenant, callers["owner"])) for tenant in (other, own)]

    async def happen() -> None:
        for tenant, key_id in ids:
            body = {"account_id": tenant.owner.account_id, "key_id": key_id, "change": "update"}
            event = {"type": "KeyChanged", "id": 1, "createdAt": "2026-11-01T00:00:00+00:00", "body": body}
            await publisher.relayed(json.dumps(event).encode())

    for caller in callers.values():
        wanted = expected(caller, f"Live.{name}")
        for _ in (own, other):
            result = await first_told(place, caller, f"subscription {{ {TOLD[name]} }}", happen)
            assert outcome(result, name) == wanted, (name, caller.name, result.to_json())
            if wanted == "OK" and name == "keyChanged":
                assert (result.data or {})[name] == {"keyId": ids[1][1], "key": {"id": ids[1][1]}}
            assert str(THEIR_USED) not in repr(result.to_json())
            count_cells(1)


@pytest.mark.parametrize("name", SUBSCRIPTIONS)
async def test_a_token_without_the_scope_subscribes_to_nothing(
    place: SubscriptionContext, callers: dict[str, Caller], name: str
) -> None:
    owner = callers["owner"]
    scoped = replace(owner, actor=replace(owner.actor, scopes=frozenset({"plan:read"})))

    async def nothing() -> None: ...

    result = await first_told(place, scoped, f"subscription {{ {TOLD[name]} }}", nothing)
    assert (outcome(result, name), result.has_started) == ("FORBIDDEN", False)


def test_scopes_take_from_a_role_and_never_add(own: Tenant) -> None:
    scoped = Actor("person", own.owner.id, own.owner.account_id, role=own.owner.role, scopes=frozenset({"keys:read"}))
    assert [permission for permission in Permission if scoped.may(permission)] == [Permission.KEYS_READ]


PUBLIC = {"Query.node", "Query.viewer"}
"""Any signed-in caller may: what `node` shows is told by the type, what `viewer` shows is the caller."""
MORE_OF_AN_OBJECT = {
    "AuditActor.name",
    "AuditEvent.subjectName",
    "Bill.lines",
    "DraftInvoice.lines",
    "Invoice.lines",
    "Key.lastUsedAddress",
    "Key.lastUsedAt",
    "Key.liveLimits",
    "Key.maskedSecret",
    "Key.secrets",
    "KeySecret.lastUsedAddress",
    "KeySecret.lastUsedAt",
    "Quota.forecast",
    "Usage.freshAt",
    "UsageRequest.keyName",
}
"""What is read with an object belongs to it: who may see the object may see this."""


def reading_fields() -> set[str]:
    """Every field of an object that reads on its own: those whose resolver is a coroutine. Pages count their rows."""
    found = set()
    for kind in schema.graphql_schema.type_map.values():
        for name, field in getattr(kind, "fields", {}).items():
            definition: Any = field.extensions.get("strawberry-definition")
            base = getattr(definition, "base_resolver", None)
            if base is not None and base.is_async and not kind.name.endswith("Connection"):
                found.add(f"{kind.name}.{name}")
    return found


def test_no_field_that_reads_or_changes_an_account_is_without_a_requirement() -> None:
    declared = {name for name, permission in requirements().items() if permission is not None}
    changing = {f"Mutation.{name}" for name in MUTATIONS} | {f"Live.{name}" for name in SUBSCRIPTIONS}
    assert changing <= declared
    assert reading_fields() - declared == PUBLIC | MORE_OF_AN_OBJECT
    assert not {name for name, permission in requirements().items() if permission is None} - PUBLIC


def test_a_mutation_is_refused_whose_verb_requires_nothing() -> None:
    async def free(tx: Any, actor: Actor) -> None: ...

    with pytest.raises(TypeError, match="free has no @requires"):
        mutation("Do something.", free)


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_mutation_repeats_what_the_verb_of_its_name_requires(name: str) -> None:
    verb = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)
    (found,) = [getattr(domain, verb) for domain in (accounts, keys, plans) if hasattr(domain, verb)]
    permission = requirement_of(found)
    assert permission is not None
    assert requirements()[f"Mutation.{name}"] is permission
    assert f"Requires `{permission.value}`." in (MUTATIONS[name].description or "")
