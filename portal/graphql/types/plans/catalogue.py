"""The whole catalogue and its changes, for the provider's staff."""

from enum import Enum
from typing import Annotated, Any

import strawberry

from portal import billing, plans
from portal.core.actor import Permission
from portal.core.errors import Invalid
from portal.graphql.engine.errors import ConflictProblem, ForbiddenProblem, NotFoundProblem, ValidationProblem
from portal.graphql.engine.operation import Info
from portal.graphql.engine.resolvers import mutation, requires, resolver
from portal.graphql.engine.scalars import BigInt, Json, value
from portal.graphql.types.plans.plan import Plan, PlanVisibility


@strawberry.enum(description="How checks are answered while Redis is away.")
class FailurePolicy(Enum):
    OPEN = value("open", "All are admitted.")
    CLOSED = value("closed", "None is decided (503).")
    LOCAL = value("local", "Each process admits its part of every limit.")


@strawberry.enum(description="How a limit counts.")
class LimitAlgorithm(Enum):
    SLIDING_WINDOW = value("sliding_window", "At most `amount` units in any window.")
    TOKEN_BUCKET = value("token_bucket", "At most `burst` units at once, refilled by `amount` each window.")


@strawberry.enum(description="Whose units a limit counts together.")
class LimitOwner(Enum):
    KEY = value("key", "Those of each key.")
    ACCOUNT = value("account", "Those of all keys of the account.")


@strawberry.input(description="A rate limit of a plan: at most `amount` units in any `windowMs`.")
class PlanLimitInput:
    name: str = strawberry.field(description="Up to 30 lower-case letters, digits and hyphens; unique in the plan.")
    amount: BigInt = strawberry.field(description="Units admitted per window: 1 to 1000000000.")
    window_ms: BigInt = strawberry.field(description="Length of the window in milliseconds: 100 to 2678400000.")
    algorithm: LimitAlgorithm = strawberry.field(
        default=LimitAlgorithm.SLIDING_WINDOW, description="How the limit counts."
    )
    per: LimitOwner = strawberry.field(default=LimitOwner.KEY, description="Whose units are counted together.")
    burst: BigInt | None = strawberry.field(default=None, description="Capacity, for token buckets only.")
    resource: str | None = strawberry.field(
        default=None, description="Endpoints to which it applies, with `*` at the end as a wildcard; null for all."
    )


@strawberry.input(description="A new plan. What is left out has its default.")
class CreatePlanInput:
    slug: str = strawberry.field(description="Stable identifier for programs: lower-case letters, digits, hyphens.")
    name: str = strawberry.field(description="The plan's name.")
    description: str | None = strawberry.field(default=None, description="Who the plan is for.")
    price: str | None = strawberry.field(default=None, description="Monthly price as a decimal, like 49.00; 0 if null.")
    currency: str | None = strawberry.field(default=None, description="The ISO 4217 code; EUR if null.")
    rank: int | None = strawberry.field(
        default=None, description="Place in the order of plans; unique. Above all others if null."
    )
    visibility: PlanVisibility | None = strawberry.field(
        default=None, description="Who may choose the plan; PUBLIC if null."
    )
    monthly_quota: BigInt | None = strawberry.field(
        default=None, description="Units per billing month; null for unlimited."
    )
    is_overage_allowed: bool | None = strawberry.field(
        default=None, description="Whether units above the quota are billed instead of denied; false if null."
    )
    failure_policy: FailurePolicy | None = strawberry.field(
        default=None, description="How checks are answered while Redis is away; OPEN if null."
    )
    limits: list[PlanLimitInput] | None = strawberry.field(default=None, description="Rate limits; none if null.")
    tariff: Json | None = strawberry.field(
        default=None, description="Prices of usage, in the form of `portal plan tariff`; null if usage costs nothing."
    )


@strawberry.input(description="Changes of a plan. What is left out stays as it is.")
class AddPlanVersionInput:
    id: strawberry.ID = strawberry.field(description="The plan's id.")
    name: str | None = strawberry.field(default=strawberry.UNSET, description="The plan's name.")
    description: str | None = strawberry.field(default=strawberry.UNSET, description="Who the plan is for.")
    price: str | None = strawberry.field(default=strawberry.UNSET, description="Monthly price as a decimal.")
    rank: int | None = strawberry.field(
        default=strawberry.UNSET, description="Place in the order of plans. Applies at once, without a version."
    )
    visibility: PlanVisibility | None = strawberry.field(
        default=strawberry.UNSET, description="Who may choose the plan. Applies at once, without a version."
    )
    monthly_quota: BigInt | None = strawberry.field(
        default=strawberry.UNSET, description="Units per billing month; null for unlimited."
    )
    is_overage_allowed: bool | None = strawberry.field(
        default=strawberry.UNSET, description="Whether units above the quota are billed instead of denied."
    )
    failure_policy: FailurePolicy | None = strawberry.field(
        default=strawberry.UNSET, description="How checks are answered while Redis is away."
    )
    limits: list[PlanLimitInput] | None = strawberry.field(
        default=strawberry.UNSET, description="Rate limits, all of them."
    )
    tariff: Json | None = strawberry.field(
        default=strawberry.UNSET, description="Prices of usage; null if it costs nothing."
    )


@strawberry.type(description="A plan with every version of it, as the provider's staff see it.")
class CataloguePlan:
    plan: Plan = strawberry.field(description="The plan in its newest version.")
    versions: list[Plan] = strawberry.field(description="The plan in each of its versions, the newest first.")


@strawberry.type
class CatalogueQueries:
    @resolver("Every plan of the catalogue, retired ones and those that accounts cannot choose, too. For staff.")
    @requires(Permission.STAFF)
    async def catalogue(self, info: Info) -> list[CataloguePlan]:
        tx = info.context.tx
        rows, versions = await plans.list_plans(tx), await plans.list_all_versions(tx)
        return [
            CataloguePlan(
                plan=Plan.of(row),
                versions=[Plan.of(plans.plan_of_version(row, known)) for known in versions if known.plan_id == row.id],
            )
            for row in rows
        ]


@strawberry.type(description="The plan was created.")
class CreatedPlan:
    plan: Plan = strawberry.field(description="The plan in its first version.")


@strawberry.type(description="The plan is sold like this from now on. Accounts on an earlier version keep theirs.")
class AddedPlanVersion:
    plan: Plan = strawberry.field(description="The plan in its newest version.")


@strawberry.type(description="The plan is retired: no account can choose it, and those on it keep it.")
class RetiredPlan:
    plan: Plan = strawberry.field(description="The plan.")


CreatePlanResult = Annotated[
    CreatedPlan | ValidationProblem | ForbiddenProblem | ConflictProblem,
    strawberry.union("CreatePlanResult", description="Result of createPlan."),
]
AddPlanVersionResult = Annotated[
    AddedPlanVersion | ValidationProblem | NotFoundProblem | ForbiddenProblem | ConflictProblem,
    strawberry.union("AddPlanVersionResult", description="Result of addPlanVersion."),
]
RetirePlanResult = Annotated[
    RetiredPlan | NotFoundProblem | ForbiddenProblem | ConflictProblem,
    strawberry.union("RetirePlanResult", description="Result of retirePlan."),
]


@strawberry.type
class CatalogueMutations:
    @mutation("Create a plan. For the provider's staff.", plans.create_plan)
    async def create_plan(
        self, info: Info, new: Annotated[CreatePlanInput, strawberry.argument(name="input", description="The plan.")]
    ) -> CreatePlanResult:
        info.context.actor.require(Permission.STAFF)
        given = {field: found for field, found in _document(new).items() if found is not None}
        try:
            row = await plans.create_plan(info.context.tx, info.context.actor, billing.normalize_plan_tariff(given))
        except Invalid as error:
            raise _at_field(error) from None
        return CreatedPlan(plan=Plan.of(row))

    @mutation(
        "Change a plan for accounts that choose it from now on. What accounts have never changes. "
        "For the provider's staff.",
        plans.add_plan_version,
    )
    async def add_plan_version(
        self,
        info: Info,
        changes: Annotated[AddPlanVersionInput, strawberry.argument(name="input", description="The changes.")],
    ) -> AddPlanVersionResult:
        tx, actor = info.context.tx, info.context.actor
        actor.require(Permission.STAFF)
        document = _document(changes)
        plan_id = str(document.pop("id"))
        try:
            row = await plans.add_plan_version(tx, actor, plan_id, billing.normalize_plan_tariff(document))
        except Invalid as error:
            raise _at_field(error) from None
        return AddedPlanVersion(plan=Plan.of(row))

    @mutation("Retire a plan: no account can choose it any more. For the provider's staff.", plans.retire_plan)
    async def retire_plan(
        self,
        info: Info,
        plan_id: Annotated[strawberry.ID, strawberry.argument(name="id", description="The plan's id.")],
    ) -> RetirePlanResult:
        return RetiredPlan(plan=Plan.of(await plans.retire_plan(info.context.tx, info.context.actor, plan_id)))


def _document(given: Any) -> dict[str, Any]:
    """Return what an input says, in the form of a plan's document."""
    found = {name: getattr(given, name) for name in given.__dataclass_fields__}
    found = {name: inner for name, inner in found.items() if inner is not strawberry.UNSET}
    return {name: _plain(inner) for name, inner in found.items()}


def _plain(inner: Any) -> Any:
    if isinstance(inner, Enum):
        return inner.value
    if isinstance(inner, list):
        return [_plain(each) for each in inner]
    return _document(inner) if isinstance(inner, PlanLimitInput) else inner


def _at_field(error: Invalid) -> Invalid:
    """Name the place as the input does, in camel case; inside a tariff its own names stay."""
    head, *rest = error.path or ("",)
    path = (_camel(head), *(rest if head == "tariff" else map(_camel, rest)))
    return Invalid(error.message, hint=error.hint, path=path if error.path else ())


def _camel(name: str) -> str:
    first, *words = name.split("_")
    return first + "".join(word.capitalize() for word in words)
